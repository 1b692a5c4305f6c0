"""A new password by a link in a mail. Whoever asks learns nothing; the second factor stays as it is."""

from __future__ import annotations

import secrets
import uuid

from portal.core.crypto import token_hash
from portal.core.db import db, hot
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.identity.models import User
from portal.identity.queries import find_user_by_email
from portal.identity.service import set_password

TTL_S = 1800
# So that nobody fills somebody's mailbox.
_PER_HOUR = 5

_RECENT = """
SELECT count(*) AS n FROM password_reset WHERE user_id = %(user)s AND created_at > now() - interval '1 hour'
"""
_LOCK = "SELECT id FROM users WHERE id = %(user)s FOR NO KEY UPDATE"
_END_FORMER = "UPDATE password_reset SET used_at = now() WHERE user_id = %(user)s AND used_at IS NULL"
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


def ask_for_reset(email: str, ip: str | None, ttl_s: int = TTL_S) -> tuple[User, str] | None:
    """The person and the token of their link; None where there is nobody, or too many links were sent.

    The links before it are worth nothing. Needs transaction(). Whoever asked must not be told which it was.
    """
    user = find_user_by_email(email)
    if user is None or not user.is_active:
        return None
    hot(_LOCK, {"user": user.id})
    if hot(_RECENT, {"user": user.id})[0]["n"] >= _PER_HOUR:
        return None
    hot(_END_FORMER, {"user": user.id})
    token = secrets.token_urlsafe(32)
    values = {"id": new_id(), "hash": token_hash(token), "user": user.id, "ip": ip, "ttl": float(ttl_s)}
    hot(_INSERT, values)
    return user, token


def is_reset_open(token: str) -> bool:
    """Whether the link can still be used."""
    return bool(hot(_FIND, {"hash": token_hash(token)}))


def reset_password(token: str, password: str, min_length: int) -> uuid.UUID:
    """Use the link up, set the password and end every session of the person, whose id it returns.

    Raises NotFound when the link is over, ValidationFailed (password). Needs transaction().
    """
    rows = hot(_TAKE, {"hash": token_hash(token)})
    user = db.session.get(User, rows[0]["user_id"]) if rows else None
    if user is None:
        raise NotFound("This link was used already or is too old. Ask for another one.")
    set_password(user, password, min_length=min_length)
    return user.id
