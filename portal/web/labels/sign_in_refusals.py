"""What the verbs of signing in refuse, in the reader's words; each code of theirs has its sentence here."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.core.errors import DomainError
from portal.identity.proofs.password_rules import MAX_LENGTH
from portal.reference import configuration as config
from portal.web.labels.refusals import words_of_error


def words_of_problem(error: DomainError) -> str:
    """The sentence of a refusal."""
    return words_of(error.errors[0].code if error.errors else error.code, words_of_error(error))


def words_of(code: str, otherwise: str) -> str:
    """The sentence of a code."""
    least = config.get(config.PASSWORD_MIN_LENGTH)
    known = {
        "too_many_attempts": _("Too many wrong attempts. Wait a while and try again."),
        "sign_in_over": _("Too many wrong codes. Sign in again."),
        "unavailable": _("Too many people are signing in at this moment. Try again in a few seconds."),
        "too_short": ngettext("Use at least %(num)d character.", "Use at least %(num)d characters.", least),
        "too_long": ngettext("Use at most %(num)d character.", "Use at most %(num)d characters.", MAX_LENGTH),
        "common": _("Many people use this password, so it is tried first. Pick another one."),
        "malformed": _("This can't be used. Type something else."),
        "wrong": _("This is not your password."),
        "not_accepted": _("The passkey was not accepted. Try again."),
        "duplicate_passkey": _("This passkey is in use already."),
        "too_many_passkeys": _("Remove a passkey before you add another one."),
    }
    return str(known.get(code, otherwise))
