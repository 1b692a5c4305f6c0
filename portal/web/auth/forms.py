"""The sign-in form, and where one may go after it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired, Length

from portal.core.errors import DomainError
from portal.web.auth.words import words_of
from portal.web.ui.forms import PageForm

# One slash, then something that no browser takes for another host.
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*", re.ASCII)


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
    name = StringField(_l("Name"), validators=[Length(max=60, message=_l("This is too long."))])
    next = HiddenField()


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


class NewPasswordForm(PageForm):
    password = PasswordField(
        _l("New password"),
        validators=[
            InputRequired(_l("Type a password.")),
            Length(max=1024, message=_l("This is too long.")),
        ],
    )


class ChangePasswordForm(NewPasswordForm):
    current = PasswordField(
        _l("Current password"),
        validators=[
            InputRequired(_l("Type your password.")),
            Length(max=1024, message=_l("This is too long.")),
        ],
    )


class JoinForm(NewPasswordForm):
    """What somebody who was invited tells us."""

    name = StringField(
        _l("Your name"),
        validators=[InputRequired(_l("Type your name.")), Length(max=100, message=_l("This is too long."))],
    )


def show_problems(form: PageForm, error: DomainError) -> None:
    """Put what a verb refused beside the fields it is about."""
    for problem in error.errors:
        if problem.field in form:
            form[problem.field].errors = [words_of(problem.code, problem.message)]


def safe_next(wanted: str) -> str | None:
    """The path, if it stays on this site; None otherwise."""
    if not _PATH.fullmatch(wanted):
        return None
    parts = urlsplit(wanted)
    return None if parts.scheme or parts.netloc else wanted
