"""Reading users and their sessions."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.core.crypto import token_hash
from portal.core.db import db, hot, read_rows
from portal.core.permissions import Permission, Reach
from portal.identity.models import MemberRole, Role, User
from portal.identity.roles import Grant
from portal.identity.tokens.sessions import is_token_of


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A valid session and whose it is. Times are UTC.

    `factor_wanted_since`: when they got the first role that needs a second factor; None if they have none.
    """

    session_id: uuid.UUID
    user_id: uuid.UUID
    email: str
    name: str
    locale: str
    timezone: str
    roles: tuple[Role, ...]
    member_roles: tuple[MemberRole, ...]
    grants: tuple[Grant, ...]
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    is_worth_touching: bool
    second_factor_at: datetime | None
    sudo_until: datetime | None
    has_sudo: bool
    has_proof: bool
    has_second_factor: bool
    factor_wanted_since: datetime | None


# Noted at most once a minute: a click does not need a write.
_SESSION = """
SELECT s.id AS session_id, u.id AS user_id, u.email, u.name, u.locale, u.timezone,
       ARRAY(SELECT r.role FROM user_role r WHERE r.user_id = u.id ORDER BY r.role) AS roles,
       ARRAY(SELECT DISTINCT m.role FROM merchant_member m WHERE m.user_id = u.id) AS member_roles,
       ARRAY(SELECT g.permission || ' ' || coalesce(g.reach, '') FROM permission_grant g WHERE g.user_id = u.id)
         AS grants,
       s.created_at, s.last_seen_at, s.expires_at,
       s.last_seen_at < now() - interval '60 seconds' AS is_worth_touching,
       s.second_factor_at, s.sudo_until, coalesce(s.sudo_until > now(), false) AS has_sudo,
       coalesce(s.proven_until > now(), false) AS has_proof,
       EXISTS (SELECT 1 FROM totp_factor t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL)
         OR EXISTS (SELECT 1 FROM passkey p WHERE p.user_id = u.id AND p.set_aside_at IS NULL)
         AS has_second_factor,
       (SELECT min(r.created_at) FROM user_role r WHERE r.user_id = u.id AND r.role <> 'merchant')
         AS factor_wanted_since
  FROM user_session s JOIN users u ON u.id = s.user_id
 WHERE s.token_hash = %(hash)s AND s.stage = 'open' AND s.revoked_at IS NULL AND s.expires_at > now() AND u.is_active
   AND s.last_seen_at > now() - make_interval(secs => %(idle_s)s)
"""


def find_session(token: str, idle_s: int) -> SignedIn | None:
    """The session of a cookie's token, unless it was revoked, is too old, or idle for `idle_s`."""
    rows = read_rows(_SESSION, {"hash": token_hash(token), "idle_s": float(idle_s)})
    if not rows or not is_token_of(token, rows[0]["user_id"]):
        return None
    row = rows[0]
    read = {
        "roles": tuple(Role(role) for role in row["roles"]),
        "member_roles": tuple(MemberRole(role) for role in row["member_roles"]),
        "grants": read_grants(row["grants"]),
    }
    return SignedIn(**row | read)


def read_grants(written: Iterable[str]) -> tuple[Grant, ...]:
    """Grants and denials (without a reach) from the database; those of permissions of the past are left out."""
    pairs = (line.split(" ") for line in written)
    known = Permission.__members__.values()
    return tuple(
        Grant(Permission(name), Reach(reach) if reach else None) for name, reach in pairs if name in known
    )


@dataclass(frozen=True, slots=True)
class LoginState:
    """How somebody signs in, for their own eyes. Times are UTC."""

    password_changed_at: datetime | None
    app_since: datetime | None
    codes_left: int


_STATE = """
SELECT u.password_changed_at,
       (SELECT t.confirmed_at FROM totp_factor t WHERE t.user_id = u.id) AS app_since,
       (SELECT count(*) FROM recovery_code c WHERE c.user_id = u.id AND c.used_at IS NULL) AS codes_left
  FROM users u WHERE u.id = %(user)s
"""


def get_login_state(user_id: uuid.UUID) -> LoginState:
    return LoginState(**hot(_STATE, {"user": user_id})[0])


def find_user_by_email(email: str) -> User | None:
    return db.session.scalar(select(User).where(User.email == email.strip().lower()))
