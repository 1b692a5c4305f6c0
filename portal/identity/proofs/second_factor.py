"""The second step of signing in: codes of an app and recovery codes, with every attempt counted in PostgreSQL.

A code is good once. Wrong codes end the sign-in they were typed in, and pauses of the account grow with them
and end by themselves: nobody is locked out for good.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from portal.audit.service import record_audit
from portal.core.actors import Origin
from portal.core.db import db, hot, transaction
from portal.core.errors import TooManyRequests, Unauthorized
from portal.identity.acting import actor_of_user
from portal.identity.letters import Change, mail_change
from portal.identity.models import User
from portal.identity.proofs.models import ChallengePurpose
from portal.identity.proofs.passkeys import Outcome, check_assertion
from portal.identity.proofs.recovery_codes import use_recovery_code
from portal.identity.proofs.totp import use_totp
from portal.identity.tokens.sessions import HalfSession, NewSession, SessionTimes, open_session

_LONGEST_PAUSE_S = 900


class TooManyCodes(TooManyRequests):
    code, title = "too_many_attempts", "Too many wrong codes"


class SignInOver(Unauthorized):
    code, title = "sign_in_over", "This sign-in is over"


@dataclass(frozen=True, slots=True)
class FactorLimits:
    """Wrong codes, of one sign-in and of an account within `window_s`, before the end and before pauses."""

    attempts: int = 5
    window_s: int = 86400


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('factor ' || %(user)s::text, 0))"
_COUNT = """
WITH since AS (
  SELECT greatest(now() - make_interval(secs => %(window)s),
                  (SELECT max(at) FROM factor_attempt WHERE user_id = %(user)s AND succeeded)) AS at
)
SELECT count(*) AS n, coalesce(extract(epoch FROM now() - max(a.at)), 0)::float8 AS quiet_s
  FROM factor_attempt a, since WHERE a.user_id = %(user)s AND NOT a.succeeded AND a.at > since.at
"""
# Written as failed before the code is looked at, so that a burst of guesses is counted in full.
_NOTE = """
INSERT INTO factor_attempt (user_id, ip, succeeded) VALUES (%(user)s, %(ip)s::inet, false) RETURNING id
"""
_SUCCEEDED = "UPDATE factor_attempt SET succeeded = true WHERE id = %(id)s"
_GUESS = """
UPDATE user_session SET factor_failures = factor_failures + 1
 WHERE id = %(id)s AND stage = 'second_factor' AND revoked_at IS NULL AND factor_failures < %(limit)s
RETURNING factor_failures
"""
_DIES = "UPDATE user_session SET revoked_at = now() WHERE id = %(id)s AND factor_failures >= %(limit)s"


def verify_second_factor(
    user_id: uuid.UUID, code: str, *, origin: Origin | None = None, limits: FactorLimits | None = None
) -> bool:
    """Whether this is a code of the person's app for now, or a recovery code; either is used up by it.

    Call it outside a transaction: it commits what it counts. Raises TooManyCodes during a pause.
    """
    limits, origin = limits or FactorLimits(), origin or Origin()
    with transaction():
        attempt_id = note_attempt(user_id, origin.ip, limits)
    with transaction():
        is_right = use_totp(user_id, code)
        if not is_right and use_recovery_code(user_id, code):
            is_right = True
            _note(user_id, Change.CODE_USED, origin)
        if is_right:
            settle_attempt(attempt_id)
    return is_right


def _note(user_id: uuid.UUID, change: Change, origin: Origin) -> None:
    """Audit and mail what became of a factor while it was used."""
    record_audit(
        f"user.{change.value}", actor=actor_of_user(user_id), subject=("user", user_id), origin=origin
    )
    user = db.session.get(User, user_id)
    if user is not None:
        mail_change(user.email, user.locale, change, origin)


def note_attempt(user_id: uuid.UUID, ip: str | None, limits: FactorLimits) -> int:
    """Count an attempt as failed until it is known better: its id. Takes the account's lock.

    Raises TooManyCodes. Needs transaction().
    """
    hot(_LOCK, {"user": user_id})
    counted = hot(_COUNT, {"user": user_id, "window": float(limits.window_s)})[0]
    over = counted["n"] - limits.attempts
    wait_s = -1.0 if over < 0 else min(2 ** min(over, 20), _LONGEST_PAUSE_S) - counted["quiet_s"]
    if wait_s > 0:
        raise TooManyCodes("Too many wrong codes. Wait a while and try again.", retry_after_s=int(wait_s) + 1)
    return int(hot(_NOTE, {"user": user_id, "ip": ip})[0]["id"])


def settle_attempt(attempt_id: int) -> None:
    """The attempt was right. Needs transaction()."""
    hot(_SUCCEEDED, {"id": attempt_id})


def finish_sign_in(
    half: HalfSession, code: str, times: SessionTimes, *, origin: Origin, limits: FactorLimits
) -> NewSession | None:
    """The whole session of a half one whose second step was right; None for a wrong code.

    Raises SignInOver with the last wrong code, TooManyCodes. It opens its own transactions.
    """
    with transaction():
        guesses = hot(_GUESS, {"id": half.id, "limit": limits.attempts})
    if not guesses:
        raise SignInOver("Too many wrong codes. Sign in again.")
    if verify_second_factor(half.user_id, code, origin=origin, limits=limits):
        with transaction():
            return _opened(half, times, origin)
    with transaction():
        hot(_DIES, {"id": half.id, "limit": limits.attempts})
    if guesses[0]["factor_failures"] >= limits.attempts:
        raise SignInOver("Too many wrong codes. Sign in again.")
    return None


def finish_with_passkey(
    half: HalfSession, answer: str, times: SessionTimes, origin: Origin
) -> NewSession | None:
    """As `finish_sign_in`, by a passkey's answer. A challenge can't be guessed, so nothing is counted."""
    with transaction():
        if verify_passkey(half.id, half.user_id, ChallengePurpose.SECOND_FACTOR, answer, origin):
            return _opened(half, times, origin)
    return None


def verify_passkey(
    session_id: uuid.UUID, user_id: uuid.UUID, purpose: ChallengePurpose, answer: str, origin: Origin
) -> bool:
    """As `check_assertion`; of a key that was set aside its owner is told. Needs transaction(), committed."""
    outcome = check_assertion(session_id, user_id, purpose, answer)
    if outcome is Outcome.SET_ASIDE:
        _note(user_id, Change.PASSKEY_SET_ASIDE, origin)
    return outcome is Outcome.RIGHT


def _opened(half: HalfSession, times: SessionTimes, origin: Origin) -> NewSession:
    new = open_session(half, times)
    note_sign_in(new, half.user_id, origin)
    return new


def note_sign_in(new: NewSession, user_id: uuid.UUID, origin: Origin) -> None:
    """Audit that a session was opened. Needs transaction()."""
    record_audit(
        "session.opened", actor=actor_of_user(user_id), subject=("session", new.id),
        after={"is_new_device": new.is_new_device}, origin=origin,
    )  # fmt: skip


_HAS = """
SELECT EXISTS (SELECT 1 FROM totp_factor WHERE user_id = %(user)s AND confirmed_at IS NOT NULL)
    OR EXISTS (SELECT 1 FROM passkey WHERE user_id = %(user)s AND set_aside_at IS NULL) AS has
"""
_RESET = (
    "DELETE FROM totp_factor WHERE user_id = %(user)s RETURNING user_id",
    "DELETE FROM recovery_code WHERE user_id = %(user)s RETURNING user_id",
    "DELETE FROM passkey WHERE user_id = %(user)s RETURNING user_id",
)


def has_second_factor(user_id: uuid.UUID) -> bool:
    return bool(hot(_HAS, {"user": user_id})[0]["has"])


_OVERDUE = """
SELECT coalesce(min(created_at) + make_interval(secs => %(grace)s) <= now(), false) AS is_overdue
  FROM user_role WHERE user_id = %(user)s AND role <> 'merchant'
"""


def is_factor_overdue(user_id: uuid.UUID, grace_s: int) -> bool:
    """Whether the person's work needs a second factor and the grace, in seconds, is over."""
    return bool(hot(_OVERDUE, {"user": user_id, "grace": float(grace_s)})[0]["is_overdue"])


def forget_factors(user_id: uuid.UUID) -> bool:
    """Take away app, recovery codes and passkeys; whether there were any. Needs transaction()."""
    forgotten = [hot(statement, {"user": user_id}) for statement in _RESET]
    return any(forgotten)
