"""Logins and what proves who somebody is."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import CIDR, INET
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.core.db import Model
from portal.core.db.columns import BigKey, CreatedAt, Moment, UuidKey, one_of
from portal.core.modes import Mode


class Role(StrEnum):
    ADMIN = "admin"
    SUPPORT = "support"
    LEAD = "lead"
    TRADER = "trader"
    MERCHANT = "merchant"


class MemberRole(StrEnum):
    """What somebody is to the merchant they work for."""

    OWNER = "owner"
    DEVELOPER = "developer"
    ACCOUNTANT = "accountant"
    VIEWER = "viewer"


class SessionStage(StrEnum):
    """A half-session only says whose password was right: it opens nothing but the second step."""

    SECOND_FACTOR = "second_factor"
    OPEN = "open"


class Scope(StrEnum):
    """What a store's API key may do."""

    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    PAYOUTS_WRITE = "payouts:write"
    BALANCES_READ = "balances:read"
    WITHDRAWALS_WRITE = "withdrawals:write"
    WEBHOOKS_WRITE = "webhooks:write"


class Audience(StrEnum):
    """Whose programs a token is for: a store's, or those of one person at work. Never good for another's."""

    MERCHANT = "merchant"
    TRADER = "trader"
    SUPPORT = "support"
    LEAD = "lead"
    ADMIN = "admin"


class User(Model):
    """A login. `email` is kept in lower case; the password as an argon2id hash or not at all.

    `last_seen_at`: when a session of theirs was last used, to the minute. `has_second_factor` is kept by triggers of
    the database.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("email = lower(email)", name="email_lower"),
        Index("ix_users_name", text("lower(name)"), "id"),
        Index("ix_users_created_at", "created_at", "id"),
        Index("ix_users_last_seen_at", text("coalesce(last_seen_at, '-infinity')"), "id"),
        Index("ix_users_off", "id", postgresql_where=text("NOT is_active")),
        Index("ix_users_no_factor", "id", postgresql_where=text("is_active AND NOT has_second_factor")),
        Index(
            "ix_users_words",
            func.lower(text("name")).label("words"),
            "email",
            postgresql_using="gin",
            postgresql_ops={"words": "gin_trgm_ops", "email": "gin_trgm_ops"},
        ),
    )

    id: Mapped[UuidKey]
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)
    password_changed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    locale: Mapped[str] = mapped_column(Text, server_default="en")
    timezone: Mapped[str] = mapped_column(Text, server_default="UTC")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    last_seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    has_second_factor: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]
    roles: Mapped[list[UserRole]] = relationship(lazy="selectin", cascade="all, delete-orphan")

    def has_role(self, role: Role) -> bool:
        return any(held.role == role for held in self.roles)


class UserRole(Model):
    """A role since `created_at`, from which the grace of the second factor counts."""

    __tablename__ = "user_role"
    __table_args__ = (one_of("role", Role), Index("ix_user_role_role", "role", "user_id"))

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    role: Mapped[str] = mapped_column(Text, primary_key=True)
    created_at: Mapped[CreatedAt]


class UserSession(Model):
    """A signed-in browser. Found by the SHA-256 of the cookie's token; revoked at once by one update.

    The token changes with each rise of privilege, the row stays. `sudo_until`: until then it may do what
    needs a fresh proof, and having signed in counts as one. `proven_until`: until then a proof counts that was
    given for its own sake: what moves money wants that. `factor_failures` of a half-session end it.
    """

    __tablename__ = "user_session"
    __table_args__ = (
        one_of("stage", SessionStage),
        CheckConstraint("stage = 'open' OR sudo_until IS NULL", name="half_has_no_sudo"),
        CheckConstraint("stage = 'open' OR proven_until IS NULL", name="half_has_no_proof"),
        Index("ix_user_session_user_id", "user_id"),
    )

    id: Mapped[UuidKey]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    ip: Mapped[str | None] = mapped_column(INET)
    user_agent: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    stage: Mapped[str] = mapped_column(Text, server_default=SessionStage.OPEN.value)
    second_factor_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    sudo_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    proven_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    factor_failures: Mapped[int] = mapped_column(SmallInteger, server_default="0")


class SignInAttempt(Model):
    """Counted here and not in Redis, so that a wiped Redis opens nothing. `ip` is the network that is counted."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (
        Index("ix_sign_in_attempt_email_at", "email", "at"),
        Index("ix_sign_in_attempt_ip_at", "ip", "at"),
        Index("ix_sign_in_attempt_at", "at", postgresql_using="brin"),
    )

    id: Mapped[BigKey]
    email: Mapped[str] = mapped_column(Text)
    ip: Mapped[str | None] = mapped_column(INET)
    succeeded: Mapped[bool]
    at: Mapped[CreatedAt]


class ApiKey(Model):
    """A store's key. Only its SHA-256 is stored; `prefix` and `last4` let its owner recognise it.

    `mac`: keyed, of the hash, whose key it is and what it may do. None: made by an older program; it opens nothing.
    """

    __tablename__ = "api_key"
    __table_args__ = (
        one_of("mode", Mode),
        Index("ix_api_key_store_id", "store_id"),
        Index("ix_api_key_last_used_at", "last_used_at", postgresql_where=text("last_used_at IS NOT NULL")),
    )

    id: Mapped[UuidKey]
    store_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("store.id"))
    mode: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary)
    last4: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    allowed_networks: Mapped[list[str]] = mapped_column(ARRAY(CIDR), server_default="{}")
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class RefreshToken(Model):
    """One link of a rotating chain. Using a link twice revokes its whole family."""

    __tablename__ = "refresh_token"
    __table_args__ = (
        CheckConstraint("(user_id IS NULL) <> (api_key_id IS NULL)", name="one_owner"),
        one_of("audience", Audience),
        CheckConstraint(
            "audience = 'merchant' OR (store_id IS NULL AND api_key_id IS NULL)", name="store_of_a_merchant"
        ),
        UniqueConstraint("token_hash"),
        Index("ix_refresh_token_user_id", "user_id", postgresql_where=text("user_id IS NOT NULL")),
        Index("ix_refresh_token_family_id", "family_id"),
    )

    id: Mapped[UuidKey]
    family_id: Mapped[uuid.UUID]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_key.id"))
    store_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("store.id"))
    mode: Mapped[str | None] = mapped_column(Text)
    audience: Mapped[str] = mapped_column(Text, server_default=Audience.MERCHANT.value)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
