"""Sessions: begun, raised by a second factor or a fresh proof, listed to their owner, ended at once.

Each rise of privilege gives the browser another token; the row, and so what was done in it, stays the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, update

from portal.core.crypto import bound_token, is_bound_token, token_hash
from portal.core.db import db, hot
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.identity.models import SessionStage, UserSession
from portal.identity.tokens.token_families import revoke_families_of

_MAX_USER_AGENT = 300


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """Seconds: until a session ends in any case, until its second step must be done, for a fresh proof."""

    absolute_s: int
    half_s: int = 600
    sudo_s: int = 300


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session and its token, which is shown this once and good for its person alone; stored is its SHA-256."""

    id: uuid.UUID
    token: str
    stage: SessionStage
    lifetime_s: int
    is_new_device: bool = False


@dataclass(frozen=True, slots=True)
class HalfSession:
    """Somebody whose password was right and who has yet to prove the rest."""

    id: uuid.UUID
    user_id: uuid.UUID
    email: str
    has_totp: bool
    has_passkey: bool
    codes_left: int


def _token_for(user_id: uuid.UUID, stage: SessionStage = SessionStage.OPEN) -> str:
    return bound_token("session", user_id, stage.value)


def is_token_of(token: str, user_id: uuid.UUID, stage: SessionStage = SessionStage.OPEN) -> bool:
    """Whether the token was made for a session of this person at this stage, whatever its row says."""
    return is_bound_token(token, "session", user_id, stage.value)


_INSERT = """
WITH seen AS (UPDATE users SET last_seen_at = now() WHERE id = %(user)s AND %(stage)s = 'open')
INSERT INTO user_session (id, token_hash, user_id, ip, user_agent, last_seen_at, expires_at, stage, sudo_until)
SELECT %(id)s, %(hash)s, %(user)s, %(ip)s::inet, %(agent)s, now(),
       now() + make_interval(secs => %(lifetime)s), %(stage)s,
       CASE WHEN %(stage)s = 'open' THEN now() + make_interval(secs => %(sudo)s) END
"""
# Somebody's first session is no news; later one from another program or network is.
_IS_NEW_DEVICE = """
SELECT EXISTS (SELECT 1 FROM user_session WHERE user_id = %(user)s AND stage = 'open' AND id <> %(id)s)
   AND NOT EXISTS (
     SELECT 1 FROM user_session
      WHERE user_id = %(user)s AND stage = 'open' AND id <> %(id)s
        AND user_agent IS NOT DISTINCT FROM %(agent)s
        AND network(set_masklen(ip, CASE family(ip) WHEN 4 THEN 24 ELSE 56 END)) IS NOT DISTINCT FROM
            network(set_masklen(%(ip)s::inet, CASE family(%(ip)s::inet) WHEN 4 THEN 24 ELSE 56 END))
   ) AS is_new
"""


def start_session(
    user_id: uuid.UUID,
    ip: str | None,
    user_agent: str | None,
    times: SessionTimes,
    *,
    stage: SessionStage = SessionStage.OPEN,
) -> NewSession:
    """Begin a session; an open one counts as freshly proven for `sudo_s`. Needs transaction()."""
    token, session_id = _token_for(user_id, stage), new_id()
    lifetime_s = times.absolute_s if stage is SessionStage.OPEN else times.half_s
    agent = (user_agent or "")[:_MAX_USER_AGENT].replace("\0", "") or None
    values = {
        "id": session_id, "hash": token_hash(token), "user": user_id, "ip": ip, "agent": agent,
        "lifetime": float(lifetime_s), "stage": stage.value, "sudo": float(times.sudo_s),
    }  # fmt: skip
    hot(_INSERT, values)
    is_new = stage is SessionStage.OPEN and is_from_new_device(session_id, user_id, ip, agent)
    return NewSession(session_id, token, stage, lifetime_s, is_new)


def is_from_new_device(
    session_id: uuid.UUID, user_id: uuid.UUID, ip: str | None, user_agent: str | None
) -> bool:
    """Whether the person had sessions before, but none with this program from this network."""
    values = {"user": user_id, "id": session_id, "ip": ip, "agent": user_agent}
    return bool(hot(_IS_NEW_DEVICE, values)[0]["is_new"])


_HALF = """
SELECT s.id, s.user_id, u.email,
       EXISTS (SELECT 1 FROM totp_factor t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL) AS has_totp,
       EXISTS (SELECT 1 FROM passkey p WHERE p.user_id = u.id AND p.set_aside_at IS NULL) AS has_passkey,
       (SELECT count(*) FROM recovery_code c WHERE c.user_id = u.id AND c.used_at IS NULL) AS codes_left
  FROM user_session s JOIN users u ON u.id = s.user_id
 WHERE s.token_hash = %(hash)s AND s.stage = 'second_factor' AND s.revoked_at IS NULL
   AND s.expires_at > now() AND u.is_active
"""
_OPEN = """
WITH opened AS (UPDATE user_session
   SET token_hash = %(hash)s, stage = 'open', second_factor_at = now(), last_seen_at = now(),
       expires_at = now() + make_interval(secs => %(lifetime)s),
       sudo_until = now() + make_interval(secs => %(sudo)s)
 WHERE id = %(id)s AND stage = 'second_factor' AND revoked_at IS NULL AND expires_at > now()
RETURNING user_id, host(ip) AS ip, user_agent),
seen AS (UPDATE users u SET last_seen_at = now() FROM opened WHERE u.id = opened.user_id)
SELECT * FROM opened
"""
_RAISE = """
UPDATE user_session
   SET token_hash = %(hash)s, sudo_until = now() + make_interval(secs => %(sudo)s),
       proven_until = CASE WHEN %(is_proof)s THEN now() + make_interval(secs => %(sudo)s) ELSE proven_until END,
       second_factor_at = CASE WHEN %(with_factor)s THEN now() ELSE second_factor_at END
 WHERE id = %(id)s AND stage = 'open' AND revoked_at IS NULL AND expires_at > now()
RETURNING extract(epoch FROM expires_at - now())::int AS left_s
"""


def find_half_session(token: str) -> HalfSession | None:
    """The half-session of a cookie's token while its second step may still be done."""
    rows = hot(_HALF, {"hash": token_hash(token)})
    if not rows or not is_token_of(token, rows[0]["user_id"], SessionStage.SECOND_FACTOR):
        return None
    return HalfSession(**rows[0])


def open_session(half: HalfSession, times: SessionTimes) -> NewSession:
    """Make a half-session a whole one, under another token. Raises NotFound when it is over.

    Needs transaction().
    """
    token = _token_for(half.user_id)
    values = {
        "id": half.id, "hash": token_hash(token), "lifetime": float(times.absolute_s), "sudo": float(times.sudo_s),
    }  # fmt: skip
    rows = hot(_OPEN, values)
    if not rows:
        raise NotFound("This sign-in is over. Begin again.")
    row = rows[0]
    is_new = is_from_new_device(half.id, half.user_id, row["ip"], row["user_agent"])
    return NewSession(half.id, token, SessionStage.OPEN, times.absolute_s, is_new)


def raise_session(
    session_id: uuid.UUID,
    user_id: uuid.UUID,
    times: SessionTimes,
    *,
    with_factor: bool,
    is_proof: bool = False,
) -> NewSession:
    """Let the person's session do for `sudo_s` what needs a fresh proof, under another token; it ends no later.

    What moves money wants `is_proof`: a proof given for its own sake, not by signing in or with a new factor.
    Raises NotFound when the session is over. Needs transaction().
    """
    token = _token_for(user_id)
    values = {
        "id": session_id, "hash": token_hash(token), "sudo": float(times.sudo_s), "with_factor": with_factor,
        "is_proof": is_proof,
    }  # fmt: skip
    rows = hot(_RAISE, values)
    if not rows:
        raise NotFound("This session is over. Sign in again.")
    return NewSession(session_id, token, SessionStage.OPEN, max(1, rows[0]["left_s"]))


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A live session as its owner sees it. Times are UTC."""

    id: uuid.UUID
    ip: str | None
    user_agent: str | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    second_factor_at: datetime | None


_LIVE = """
SELECT id, host(ip) AS ip, user_agent, created_at, last_seen_at, expires_at, second_factor_at
  FROM user_session
 WHERE user_id = %(user)s AND stage = 'open' AND revoked_at IS NULL AND expires_at > now()
   AND last_seen_at > now() - make_interval(secs => %(idle)s)
 ORDER BY last_seen_at DESC LIMIT 200
"""
_REVOKE = "UPDATE user_session SET revoked_at = now() WHERE id = %(id)s AND revoked_at IS NULL"
_REVOKE_OWN = """
UPDATE user_session SET revoked_at = now()
 WHERE id = %(id)s AND user_id = %(user)s AND revoked_at IS NULL RETURNING id
"""
_TOUCH = """
WITH seen AS (UPDATE user_session SET last_seen_at = now() WHERE id = %(id)s RETURNING user_id)
UPDATE users u SET last_seen_at = now() FROM seen WHERE u.id = seen.user_id
"""


def list_sessions(user_id: uuid.UUID, idle_s: int) -> Sequence[SessionLine]:
    """The sessions of a person that still open something, the last used first."""
    return [_line(row) for row in hot(_LIVE, {"user": user_id, "idle": float(idle_s)})]


def _line(row: dict[str, Any]) -> SessionLine:
    return SessionLine(**row)


def revoke_session(session_id: uuid.UUID) -> None:
    """End one session at once; ending it twice changes nothing. Needs transaction()."""
    hot(_REVOKE, {"id": session_id})


def revoke_own_session(user_id: uuid.UUID, session_id: uuid.UUID) -> None:
    """As `revoke_session`, if it is this person's and not over; else NotFound. Needs transaction()."""
    if not hot(_REVOKE_OWN, {"id": session_id, "user": user_id}):
        raise NotFound("There is no such session.")


def touch_session(session_id: uuid.UUID) -> None:
    """Note that a person used the session. Needs transaction()."""
    hot(_TOUCH, {"id": session_id})


def revoke_sessions_of(user_id: uuid.UUID, *, but: uuid.UUID | None = None) -> bool:
    """End all sessions of a person, half ones too, and the tokens of their programs; all `but` one session if
    given. Whether there was one. Needs transaction().
    """
    statement = (
        update(UserSession)
        .where(UserSession.user_id == user_id, UserSession.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(UserSession.id)
    )
    ended = db.session.scalars(statement if but is None else statement.where(UserSession.id != but)).all()
    return revoke_families_of(user_id) or bool(ended)
