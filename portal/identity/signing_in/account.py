"""What people do to their own way of signing in: each verb is audited, told to them by mail, and raises nothing
but the session it was done in.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from portal.audit.service import record_audit
from portal.core.actors import Origin
from portal.core.db import db, transaction
from portal.core.errors import Conflict, NotFound, ValidationFailed
from portal.identity.acting import actor_of
from portal.identity.letters import Change, mail_change
from portal.identity.models import User
from portal.identity.proofs.passkeys import finish_enrolment, remove_passkey
from portal.identity.proofs.recovery_codes import count_recovery_codes, renew_recovery_codes
from portal.identity.proofs.second_factor import (
    FactorLimits,
    forget_factors,
    has_second_factor,
    note_attempt,
    settle_attempt,
)
from portal.identity.proofs.totp import confirm_totp, remove_totp
from portal.identity.queries import SignedIn
from portal.identity.service import set_password
from portal.identity.signing_in.sign_in import SignInLimits, check_credentials
from portal.identity.tokens.sessions import (
    NewSession,
    SessionTimes,
    raise_session,
    revoke_own_session,
    revoke_sessions_of,
)


def note_change(who: SignedIn, change: Change, origin: Origin) -> None:
    """Audit and mail what somebody did to their own login. Needs transaction()."""
    record_audit(
        f"user.{change.value}", actor=actor_of(who.user_id, who.roles), subject=("user", who.user_id), origin=origin
    )  # fmt: skip
    mail_change(who.email, who.locale, change, origin)


def change_password(
    who: SignedIn,
    current: str,
    password: str,
    *,
    min_length: int,
    limits: SignInLimits,
    times: SessionTimes,
    origin: Origin,
) -> NewSession:
    """A new password; all other sessions end, this one gets another token. Opens its own transactions.

    Raises ValidationFailed (current, password), TooManySignIns: a wrong current one counts as an attempt.
    """
    if check_credentials(who.email, current, origin.ip, limits) != who.user_id:
        raise ValidationFailed.of("current", "wrong", "This is not your password.")
    with transaction():
        set_password(_user(who), password, min_length=min_length, but_session=who.session_id)
        note_change(who, Change.PASSWORD_CHANGED, origin)
        return raise_session(who.session_id, who.user_id, times, with_factor=False)


def enrol_app(
    who: SignedIn, code: str, *, limits: FactorLimits, times: SessionTimes, origin: Origin
) -> tuple[NewSession, Sequence[str]] | None:
    """Make the proposed app count by a code of it: the raised session and new recovery codes; None if wrong.

    Other sessions end, since they were begun without it. Opens its own transactions. Raises TooManyCodes.
    """
    with transaction():
        attempt_id = note_attempt(who.user_id, origin.ip, limits)
    with transaction():
        if not confirm_totp(who.user_id, code):
            return None
        settle_attempt(attempt_id)
        return _with_factor(who, Change.APP_ADDED, times, origin)


def enrol_passkey(
    who: SignedIn, answer: str, name: str, *, times: SessionTimes, origin: Origin
) -> tuple[NewSession, Sequence[str]]:
    """As `enrol_app`, by what the browser's passkey answered; no codes if there are some. Needs transaction().

    Raises ValidationFailed, Conflict.
    """
    finish_enrolment(who.session_id, who.user_id, answer, name)
    return _with_factor(who, Change.PASSKEY_ADDED, times, origin)


def _with_factor(
    who: SignedIn, change: Change, times: SessionTimes, origin: Origin
) -> tuple[NewSession, Sequence[str]]:
    codes = [] if count_recovery_codes(who.user_id) else renew_recovery_codes(who.user_id)
    revoke_sessions_of(who.user_id, but=who.session_id)
    note_change(who, change, origin)
    return raise_session(who.session_id, who.user_id, times, with_factor=True), codes


def remove_app(who: SignedIn, origin: Origin) -> None:
    """Take the authenticator app away. Raises NotFound. Needs transaction()."""
    if not remove_totp(who.user_id):
        raise NotFound("You have no authenticator app.")
    _after_removal(who, Change.APP_REMOVED, origin)


def remove_key(who: SignedIn, key_id: uuid.UUID, origin: Origin) -> None:
    """Take one's own passkey away. Raises NotFound. Needs transaction()."""
    remove_passkey(who.user_id, key_id)
    _after_removal(who, Change.PASSKEY_REMOVED, origin)


def _after_removal(who: SignedIn, change: Change, origin: Origin) -> None:
    if not has_second_factor(who.user_id):
        # With the last factor its recovery codes go: a later one gets new ones.
        forget_factors(who.user_id)
    revoke_sessions_of(who.user_id, but=who.session_id)
    note_change(who, change, origin)


def renew_codes(who: SignedIn, origin: Origin) -> Sequence[str]:
    """Ten new recovery codes, shown this once. Raises Conflict without a second factor. Needs transaction()."""
    if not has_second_factor(who.user_id):
        raise Conflict("Add a second factor first.", code="no_second_factor")
    codes = renew_recovery_codes(who.user_id)
    note_change(who, Change.CODES_RENEWED, origin)
    return codes


def end_session(who: SignedIn, session_id: uuid.UUID, origin: Origin) -> None:
    """End one of one's own sessions at once. Raises NotFound for a stranger's. Needs transaction()."""
    revoke_own_session(who.user_id, session_id)
    actor = actor_of(who.user_id, who.roles)
    record_audit("session.revoked", actor=actor, subject=("session", session_id), origin=origin)


def end_other_sessions(who: SignedIn, origin: Origin) -> None:
    """End all of one's sessions but this one. Needs transaction()."""
    revoke_sessions_of(who.user_id, but=who.session_id)
    actor = actor_of(who.user_id, who.roles)
    record_audit("session.others_revoked", actor=actor, subject=("user", who.user_id), origin=origin)


def _user(who: SignedIn) -> User:
    user = db.session.get(User, who.user_id)
    if user is None:
        raise NotFound("There is no such login.")
    return user
