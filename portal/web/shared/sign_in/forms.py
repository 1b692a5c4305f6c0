"""Forms of what proves who somebody is, wherever it is asked for or set."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired, Length

from portal.core.text_rules import LONGEST_NAME
from portal.web.ui.forms import PageForm


class CodeForm(PageForm):
    """A code of an authenticator app, or a recovery code."""

    code = StringField(
        _l("Code"),
        validators=[InputRequired(_l("Type the code.")), Length(max=40, message=_l("This is too long."))],
    )
    next = HiddenField(validators=[Length(max=2000, message=_l("This is too long."))])


class PasskeyForm(PageForm):
    """What the browser's passkey said; filled by the script."""

    answer = HiddenField()
    name = StringField(_l("Name"), validators=[Length(max=LONGEST_NAME, message=_l("This is too long."))])
    next = HiddenField()


class NewPasswordForm(PageForm):
    password = PasswordField(
        _l("New password"),
        validators=[
            InputRequired(_l("Type a password.")),
            Length(max=1024, message=_l("This is too long.")),
        ],
    )
