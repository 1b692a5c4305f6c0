"""Opening logins, changing passwords, switching logins off and on."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError

from portal.core.db import constraint_of, db, hot
from portal.core.errors import Conflict, ValidationFailed
from portal.core.text_rules import name_of
from portal.identity.models import Role, User, UserRole
from portal.identity.proofs.password_rules import MIN_LENGTH, check_password
from portal.identity.proofs.passwords import hash_password
from portal.identity.tokens.sessions import revoke_sessions_of


def create_user(
    email: str,
    name: str,
    password: str | None,
    roles: Iterable[Role],
    *,
    locale: str = "en",
    timezone: str = "UTC",
    min_length: int = MIN_LENGTH,
) -> User:
    """A new login; without a password nobody can sign in with it. Needs transaction().

    Raises ValidationFailed (email, name, password) and Conflict `duplicate_email`.
    """
    email = normal_email(email)
    name = name_of(name)
    if password is not None:
        check_password(password, min_length)
    user = User(email=email, name=name, locale=locale, timezone=timezone)
    user.password_hash = hash_password(password) if password is not None else None
    user.roles = [UserRole(role=role.value) for role in dict.fromkeys(roles)]
    try:
        with db.session.begin_nested():
            db.session.add(user)
            db.session.flush()
    except IntegrityError as error:
        if constraint_of(error) == "uq_users_email":
            raise Conflict("Somebody uses this email already.", code="duplicate_email") from None
        raise
    return user


def normal_email(email: str) -> str:
    """The email as it is kept. Raises ValidationFailed."""
    known_as = email.strip().lower()
    local, at, host = known_as.partition("@")
    if not (local and at and host) or "@" in host or len(known_as) > 254 or not known_as.isprintable():
        raise ValidationFailed.of("email", "malformed", "Give an email address.")
    return known_as


_END_LINKS = "UPDATE password_reset SET used_at = now() WHERE user_id = %(user)s AND used_at IS NULL"


def set_password(
    user: User, password: str, *, min_length: int = MIN_LENGTH, but_session: uuid.UUID | None = None
) -> None:
    """A new password; every session, token and open link to a new password of the user ends, except `but_session`.

    Raises ValidationFailed. Needs transaction().
    """
    check_password(password, min_length)
    user.password_hash = hash_password(password)
    user.password_changed_at = func.now()
    db.session.flush()
    hot(_END_LINKS, {"user": user.id})
    revoke_sessions_of(user.id, but=but_session)


_LAST_ADMIN = """
SELECT NOT EXISTS (
  SELECT 1 FROM user_role r JOIN users u ON u.id = r.user_id
   WHERE r.role = 'admin' AND u.is_active AND u.id <> %(user)s
) AND EXISTS (
  SELECT 1 FROM user_role r JOIN users u ON u.id = r.user_id
   WHERE r.role = 'admin' AND u.is_active AND u.id = %(user)s
) AS is_last
"""
# Two admins who switch each other off at the same moment must not both succeed.
_LOCK_ADMINS = "SELECT pg_advisory_xact_lock(hashtext('nostro admins'))"


def refuse_for_last_admin(user_id: uuid.UUID) -> None:
    """Raises Conflict `last_admin` if nobody else could run the house without this person.

    Holds until the commit: ask before taking the role or the login away. Needs transaction().
    """
    hot(_LOCK_ADMINS)
    if hot(_LAST_ADMIN, {"user": user_id})[0]["is_last"]:
        raise Conflict("This is the last administrator. Let another one in first.", code="last_admin")


def disable_user(user: User) -> None:
    """Switch the login off; its sessions and tokens end at once. Raises Conflict `last_admin`. Needs transaction()."""
    refuse_for_last_admin(user.id)
    user.is_active = False
    db.session.flush()
    revoke_sessions_of(user.id)


def enable_user(user: User) -> None:
    """Switch the login on again; its owner signs in anew. Needs transaction()."""
    user.is_active = True
    db.session.flush()
