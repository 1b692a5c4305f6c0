"""Opening logins and sessions, and ending sessions."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import func, update
from sqlalchemy.exc import IntegrityError

from portal.core.crypto import token_hash
from portal.core.db import constraint_of, db, hot
from portal.core.errors import Conflict, ValidationFailed
from portal.identity.models import Role, User, UserRole, UserSession
from portal.identity.passwords import MAX_BYTES, hash_password

MIN_PASSWORD = 12
_MAX_USER_AGENT = 300


def create_user(
    email: str,
    name: str,
    password: str | None,
    roles: Iterable[Role],
    *,
    locale: str = "en",
    timezone: str = "UTC",
) -> User:
    """A new login; without a password nobody can sign in with it. Needs transaction().

    Raises ValidationFailed (email, password) and Conflict `duplicate_email`.
    """
    email = email.strip().lower()
    if "@" not in email or len(email) > 254:
        raise ValidationFailed.of("email", "malformed", "Give an email address.")
    _check_password(password)
    user = User(email=email, name=name.strip(), locale=locale, timezone=timezone)
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


def _check_password(password: str | None) -> None:
    if password is None:
        return
    if len(password) < MIN_PASSWORD:
        raise ValidationFailed.of("password", "too_short", f"Use at least {MIN_PASSWORD} characters.")
    if len(password.encode()) > MAX_BYTES:
        raise ValidationFailed.of("password", "too_long", f"Use at most {MAX_BYTES} characters.")


def set_password(user: User, password: str) -> None:
    """A new password; every session of the user ends. Raises ValidationFailed. Needs transaction()."""
    _check_password(password)
    user.password_hash = hash_password(password)
    db.session.flush()
    revoke_sessions_of(user.id)


def start_session(user_id: uuid.UUID, ip: str | None, user_agent: str | None, lifetime_s: int) -> str:
    """A session of at most `lifetime_s`; its 256-bit token is returned once and stored as its SHA-256.

    Needs transaction().
    """
    token = secrets.token_urlsafe(32)
    now = db.session.scalar(db.select(func.now()))
    assert now is not None
    session = UserSession(
        token_hash=token_hash(token),
        user_id=user_id,
        ip=ip,
        user_agent=(user_agent or "")[:_MAX_USER_AGENT] or None,
        last_seen_at=now,
        expires_at=now + timedelta(seconds=lifetime_s),
    )
    db.session.add(session)
    db.session.flush()
    return token


_REVOKE = "UPDATE user_session SET revoked_at = now() WHERE id = %(id)s AND revoked_at IS NULL"
_TOUCH = "UPDATE user_session SET last_seen_at = now() WHERE id = %(id)s"


def revoke_session(session_id: uuid.UUID) -> None:
    """End one session at once; ending it twice changes nothing. Needs transaction()."""
    hot(_REVOKE, {"id": session_id})


def touch_session(session_id: uuid.UUID) -> None:
    """Note that a person used the session. Needs transaction()."""
    hot(_TOUCH, {"id": session_id})


def revoke_sessions_of(user_id: uuid.UUID) -> None:
    """End all sessions of a user. Needs transaction()."""
    db.session.execute(
        update(UserSession)
        .where(UserSession.user_id == user_id, UserSession.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
