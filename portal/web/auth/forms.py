"""The forms of signing in, of coming in by a link, and of a fresh proof."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired, Length

from portal.core.text_rules import LONGEST_NAME
from portal.web.shared.sign_in.forms import NewPasswordForm
from portal.web.ui.forms import PageForm


class SignInForm(PageForm):
    email = StringField(
        _l("Email"),
        validators=[InputRequired(_l("Type your email.")), Length(max=254, message=_l("This is too long."))],
    )
    password = PasswordField(
        _l("Password"),
        validators=[
            InputRequired(_l("Type your password.")),
            Length(max=1024, message=_l("This is too long.")),
        ],
    )
    next = HiddenField(validators=[Length(max=2000, message=_l("This is too long."))])


class ProofForm(PageForm):
    """The password once more, for those without a second factor."""

    password = PasswordField(
        _l("Password"),
        validators=[
            InputRequired(_l("Type your password.")),
            Length(max=1024, message=_l("This is too long.")),
        ],
    )
    next = HiddenField(validators=[Length(max=2000, message=_l("This is too long."))])


class EmailForm(PageForm):
    email = StringField(
        _l("Email"),
        validators=[InputRequired(_l("Type your email.")), Length(max=254, message=_l("This is too long."))],
    )


class JoinForm(NewPasswordForm):
    """What somebody who was invited tells us."""

    name = StringField(
        _l("Your name"),
        validators=[
            InputRequired(_l("Type your name.")),
            Length(max=LONGEST_NAME, message=_l("This is too long.")),
        ],
    )
