"""A new password by a link in a mail. Whoever asks learns nothing; the second factor stays as it is.

Whoever asks is limited, not whom they ask for: asking again ends no open link, one network gets few mails to one
person, and what strangers ask for uses up nothing of what the owner may ask for from where they sign in.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from portal.audit.service import record_audit
from portal.core.actors import Origin
from portal.core.crypto import bound_token, is_bound_token, token_hash
from portal.core.db import db, hot
from portal.core.errors import NotFound, TooManyRequests
from portal.core.ids import new_id
from portal.core.limits import counted_network
from portal.identity.acting import actor_of_user
from portal.identity.letters import Change, mail_change, mail_reset
from portal.identity.models import User
from portal.identity.queries import find_user_by_email
from portal.identity.service import set_password

TTL_S = 1800
_PURPOSE = "password reset"
# Mails to one person in an hour: asked for by one network, and by all networks that the person never signed in from.
_PER_ASKER = 2
_BY_STRANGERS = 5
ASKS_PER_NETWORK = 20


class TooManyResets(TooManyRequests):
    code, title = "too_many_attempts", "Too many links to new passwords were asked for"


_LOCK_NETWORK = "SELECT pg_advisory_xact_lock(%(key)s)"
_ASKED = """
SELECT count(*) AS n, ceil(extract(epoch FROM min(at) + interval '1 hour' - now()))::int AS wait_s
  FROM password_reset_ask WHERE network IS NOT DISTINCT FROM %(network)s::inet AND at > now() - interval '1 hour'
"""
_NOTE = "INSERT INTO password_reset_ask (network) VALUES (%(network)s::inet)"
_LOCK = "SELECT id FROM users WHERE id = %(user)s FOR NO KEY UPDATE"
# Where somebody got in within the last 30 days, they are no stranger.
_MAILED = """
WITH home AS (
  SELECT DISTINCT ip FROM sign_in_attempt
   WHERE email = %(email)s AND succeeded AND ip IS NOT NULL AND at > now() - interval '30 days'
)
SELECT count(*) FILTER (WHERE ip IS NOT DISTINCT FROM %(network)s::inet) AS by_asker,
       count(*) FILTER (WHERE ip IS NULL OR ip NOT IN (SELECT ip FROM home)) AS by_strangers,
       %(network)s::inet IN (SELECT ip FROM home) AS is_home
  FROM password_reset WHERE user_id = %(user)s AND created_at > now() - interval '1 hour'
"""
_INSERT = """
INSERT INTO password_reset (id, token_hash, user_id, ip, expires_at)
VALUES (%(id)s, %(hash)s, %(user)s, %(ip)s::inet, now() + make_interval(secs => %(ttl)s))
"""
_FIND = """
SELECT r.user_id FROM password_reset r JOIN users u ON u.id = r.user_id
 WHERE r.token_hash = %(hash)s AND r.used_at IS NULL AND r.expires_at > now() AND u.is_active
"""
_TAKE = """
UPDATE password_reset r SET used_at = now() FROM users u
 WHERE r.token_hash = %(hash)s AND r.used_at IS NULL AND r.expires_at > now()
   AND u.id = r.user_id AND u.is_active
RETURNING r.user_id
"""


def request_reset(
    email: str, origin: Origin, ttl_s: int = TTL_S, *, asks_per_network: int = ASKS_PER_NETWORK
) -> None:
    """Mail a link to the person with this email, if there is one and few were mailed; open links stay good.

    Whoever asked must not be told which it was. Raises TooManyResets for a network that asked `asks_per_network`
    times in the last hour, for whomever. Locks the network, then the person. Needs transaction().
    """
    network = counted_network(origin.ip)
    _count_ask(network, asks_per_network)
    user = find_user_by_email(email)
    if user is None or not user.is_active:
        return
    hot(_LOCK, {"user": user.id})
    if not _may_be_mailed(user.id, user.email, network):
        return
    token = bound_token(_PURPOSE, user.id)
    hot(_INSERT, {
        "id": new_id(), "hash": token_hash(token), "user": user.id, "ip": network, "ttl": float(ttl_s),
    })  # fmt: skip
    mail_reset(user, token, ttl_s)


def _count_ask(network: str | None, limit: int) -> None:
    digest = hashlib.sha256(f"password reset\0{network}".encode()).digest()
    hot(_LOCK_NETWORK, {"key": int.from_bytes(digest[:8], "big", signed=True)})
    asked = hot(_ASKED, {"network": network})[0]
    if asked["n"] >= limit:
        raise TooManyResets("Too many links were asked for from your network.", retry_after_s=asked["wait_s"])
    hot(_NOTE, {"network": network})


def _may_be_mailed(user_id: uuid.UUID, email: str, network: str | None) -> bool:
    mailed = hot(_MAILED, {"user": user_id, "email": email, "network": network})[0]
    if mailed["by_asker"] >= _PER_ASKER:
        return False
    return bool(mailed["is_home"]) or mailed["by_strangers"] < _BY_STRANGERS


def is_reset_open(token: str) -> bool:
    """Whether the link can still be used."""
    return _is_for(token, hot(_FIND, {"hash": token_hash(token)}))


def _is_for(token: str, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and is_bound_token(token, _PURPOSE, rows[0]["user_id"])


def reset_password(token: str, password: str, min_length: int, origin: Origin) -> None:
    """Use the link up, set the password, end the person's other links and every session. No session begins by it.

    Raises NotFound when the link is over, ValidationFailed (password). Needs transaction().
    """
    rows = hot(_TAKE, {"hash": token_hash(token)})
    user = db.session.get(User, rows[0]["user_id"]) if _is_for(token, rows) else None
    if user is None:
        raise NotFound("This link was used already or is too old. Ask for another one.")
    set_password(user, password, min_length=min_length)
    record_audit(
        "user.password_reset", actor=actor_of_user(user.id), subject=("user", user.id), origin=origin
    )
    mail_change(user.email, user.locale, Change.PASSWORD_RESET, origin)
