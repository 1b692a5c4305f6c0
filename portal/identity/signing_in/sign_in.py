"""Checking email and password, with attempts counted in PostgreSQL: a wiped Redis opens nothing.

Whoever does not get in sees the same answer after the same time. Pauses grow with the failures and end by
themselves: nobody is ever locked out for good, and nobody can lock out somebody else from elsewhere.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

from portal.core.actors import Origin
from portal.core.db import hot, release, transaction
from portal.core.errors import TooManyRequests
from portal.core.limits import counted_network
from portal.identity.models import SessionStage
from portal.identity.proofs.passwords import hash_password, is_password_right, needs_rehash
from portal.identity.proofs.second_factor import has_second_factor, note_sign_in
from portal.identity.tokens.sessions import NewSession, SessionTimes, start_session

_LONGEST_EMAIL = 254
_LONGEST_PAUSE_S = 900
# An address may be shared by a whole office.
_LONGEST_ADDRESS_PAUSE_S = 30
# One account may be tried from everywhere this many times as often as from one address.
_EVERYWHERE = 10


class TooManySignIns(TooManyRequests):
    code, title = "too_many_attempts", "Too many attempts to sign in"


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """Failed attempts within a window (seconds) before pauses begin, by email and by address."""

    per_email: int
    per_ip: int
    window_s: int


# Failures of this email from this network since it last got in from there; of the network; of the email.
# `ip` holds the network that is counted: whoever has one IPv6 address has 2^64 of them.
# What another request wrote after this one began is no time ago, not less: nobody waits for that.
_COUNT = """
WITH since AS (
  SELECT now() - make_interval(secs => %(window)s) AS at
), mine AS (
  SELECT max(a.at) FILTER (WHERE a.succeeded) AS succeeded_at, max(a.at) AS last_at FROM sign_in_attempt a
   WHERE a.email = %(email)s AND a.ip IS NOT DISTINCT FROM %(ip)s::inet AND a.at > now() - interval '30 days'
), pair AS (
  SELECT count(*) AS n FROM sign_in_attempt a, since, mine
   WHERE a.email = %(email)s AND a.ip IS NOT DISTINCT FROM %(ip)s::inet AND NOT a.succeeded
     AND a.at > greatest(since.at, coalesce(mine.succeeded_at, since.at))
), address AS (
  SELECT count(*) AS n, max(a.at) AS last_at FROM sign_in_attempt a, since
   WHERE a.ip = %(ip)s::inet AND NOT a.succeeded AND a.at > since.at
), everywhere AS (
  SELECT count(*) AS n, max(a.at) AS last_at FROM sign_in_attempt a, since
   WHERE a.email = %(email)s AND NOT a.succeeded AND a.at > since.at
)
SELECT pair.n AS pair, address.n AS address, everywhere.n AS email,
       mine.succeeded_at IS NOT NULL AS is_known_address,
       greatest(extract(epoch FROM now() - mine.last_at), 0)::float8 AS pair_quiet_s,
       greatest(extract(epoch FROM now() - address.last_at), 0)::float8 AS address_quiet_s,
       greatest(extract(epoch FROM now() - everywhere.last_at), 0)::float8 AS email_quiet_s
  FROM mine, pair, address, everywhere
"""
_LOCK = "SELECT pg_advisory_xact_lock(%(key)s)"
_USER = "SELECT id, password_hash, is_active FROM users WHERE email = %(email)s"
# Written as failed before the password is looked at, so that a burst of attempts is counted in full.
_NOTE = "INSERT INTO sign_in_attempt (email, ip, succeeded) VALUES (%(email)s, %(ip)s, false) RETURNING id"
_SUCCEEDED = "UPDATE sign_in_attempt SET succeeded = true WHERE id = %(id)s"
_REHASH = "UPDATE users SET password_hash = %(hash)s WHERE id = %(id)s"


def check_credentials(email: str, password: str, ip: str | None, limits: SignInLimits) -> uuid.UUID | None:
    """The id of the active user whose email and password these are, or None; each attempt is counted.

    Takes the same time whether the email exists or not, and holds no database connection while the hash is
    computed. Call it outside a transaction: it commits what it counts. Raises TooManySignIns during a pause,
    Unavailable when too many are being checked.
    """
    known_as = email.strip().lower()[:_LONGEST_EMAIL].replace("\0", "")
    with transaction():
        attempt_id = _note_attempt(known_as, counted_network(ip), limits)
        found = hot(_USER, {"email": known_as})
    release()
    user = found[0] if found and found[0]["is_active"] else None
    if not is_password_right(user["password_hash"] if user else None, password) or user is None:
        return None
    new_hash = hash_password(password) if needs_rehash(user["password_hash"]) else None
    with transaction():
        hot(_SUCCEEDED, {"id": attempt_id})
        if new_hash is not None:
            hot(_REHASH, {"hash": new_hash, "id": user["id"]})
    return uuid.UUID(str(user["id"]))


def sign_in(
    email: str, password: str, origin: Origin, limits: SignInLimits, times: SessionTimes
) -> NewSession | None:
    """Check a person and begin a session, or None. Who has a second factor gets a half-session, which opens
    nothing but the second step. See check_credentials for what it raises; it opens its own transactions.
    """
    user_id = check_credentials(email, password, origin.ip, limits)
    if user_id is None:
        return None
    with transaction():
        stage = SessionStage.SECOND_FACTOR if has_second_factor(user_id) else SessionStage.OPEN
        new = start_session(user_id, origin.ip, origin.user_agent, times, stage=stage)
        if stage is SessionStage.OPEN:
            note_sign_in(new, user_id, origin)
        return new


def _note_attempt(email: str, network: str | None, limits: SignInLimits) -> int:
    digest = hashlib.sha256(f"{email}\0{network}".encode()).digest()
    hot(_LOCK, {"key": int.from_bytes(digest[:8], "big", signed=True)})
    counted = hot(_COUNT, {"email": email, "ip": network, "window": float(limits.window_s)})[0]
    wait_s = _wait_s(counted, limits)
    if wait_s > 0:
        raise TooManySignIns(
            "Too many failed attempts to sign in. Wait a while and try again.", retry_after_s=int(wait_s) + 1
        )
    return int(hot(_NOTE, {"email": email, "ip": network})[0]["id"])


def _wait_s(counted: dict[str, Any], limits: SignInLimits) -> float:
    """Seconds still to wait. Up to the limit none; beyond it the pause doubles with every failure."""
    waits = [
        _pause_s(counted["pair"] - limits.per_email, _LONGEST_PAUSE_S) - counted["pair_quiet_s"],
        _pause_s(counted["address"] - limits.per_ip, _LONGEST_ADDRESS_PAUSE_S) - counted["address_quiet_s"],
    ]
    # Failures elsewhere don't keep out the owner, who has signed in from here before.
    if not counted["is_known_address"]:
        over = counted["email"] - limits.per_email * _EVERYWHERE
        waits.append(_pause_s(over, _LONGEST_PAUSE_S) - counted["email_quiet_s"])
    return float(max(waits))


def _pause_s(over: int, longest_s: int) -> float:
    return 0.0 if over < 0 else float(min(2 ** min(over, 20), longest_s))
