"""A new password by a link in a mail. Whoever asks learns nothing; the second factor stays as it is."""

from __future__ import annotations

import secrets

from portal.audit.service import record_audit
from portal.core.actors import Origin
from portal.core.crypto import token_hash
from portal.core.db import db, hot
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.identity.acting import actor_of_user
from portal.identity.letters import Change, mail_change, mail_reset
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


def request_reset(email: str, origin: Origin, ttl_s: int = TTL_S) -> None:
    """Mail a link to the person with this email, if there is one; the links before it are worth nothing.

    Nothing happens after the fifth in an hour. Whoever asked must not be told which it was.
    Needs transaction().
    """
    user = find_user_by_email(email.replace("\0", ""))
    if user is None or not user.is_active:
        return
    hot(_LOCK, {"user": user.id})
    if hot(_RECENT, {"user": user.id})[0]["n"] >= _PER_HOUR:
        return
    hot(_END_FORMER, {"user": user.id})
    token = secrets.token_urlsafe(32)
    hot(_INSERT, {
        "id": new_id(), "hash": token_hash(token), "user": user.id, "ip": origin.ip, "ttl": float(ttl_s),
    })  # fmt: skip
    mail_reset(user, token, ttl_s)


def is_reset_open(token: str) -> bool:
    """Whether the link can still be used."""
    return bool(hot(_FIND, {"hash": token_hash(token)}))


def reset_password(token: str, password: str, min_length: int, origin: Origin) -> None:
    """Use the link up, set the password and end every session of the person. No session begins by it.

    Raises NotFound when the link is over, ValidationFailed (password). Needs transaction().
    """
    rows = hot(_TAKE, {"hash": token_hash(token)})
    user = db.session.get(User, rows[0]["user_id"]) if rows else None
    if user is None:
        raise NotFound("This link was used already or is too old. Ask for another one.")
    set_password(user, password, min_length=min_length)
    record_audit(
        "user.password_reset", actor=actor_of_user(user.id), subject=("user", user.id), origin=origin
    )
    mail_change(user.email, user.locale, Change.PASSWORD_RESET, origin)
