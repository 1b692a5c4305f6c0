"""The sign-in form, and where one may go after it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask_babel import lazy_gettext as _l
from wtforms import Form, HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired, Length

# One slash, then something that no browser takes for another host.
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*", re.ASCII)


class SignInForm(Form):  # type: ignore[misc]
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
    next = HiddenField(validators=[Length(max=2000)])


def safe_next(wanted: str) -> str | None:
    """The path, if it stays on this site; None otherwise."""
    if not _PATH.fullmatch(wanted):
        return None
    parts = urlsplit(wanted)
    return None if parts.scheme or parts.netloc else wanted
