"""Who works for which merchant, and the links by which people get in: invitations and password resets."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.actors import ActorKind
from portal.core.db import Model
from portal.core.db.columns import BigKey, CreatedAt, Moment, UuidKey, one_of
from portal.identity.models import MemberRole


class MerchantMember(Model):
    """A person who works for a merchant: in all of its stores, or in those of `merchant_member_store`."""

    __tablename__ = "merchant_member"
    __table_args__ = (one_of("role", MemberRole), Index("ix_merchant_member_user_id", "user_id"))

    merchant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("merchant.id"), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    # Whoever was a member before there were roles could do everything.
    role: Mapped[str] = mapped_column(Text, server_default=MemberRole.OWNER.value)
    has_all_stores: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[CreatedAt]


class MerchantMemberStore(Model):
    """A store that a member without all stores works in; the keys hold it to the member's own merchant."""

    __tablename__ = "merchant_member_store"
    __table_args__ = (
        ForeignKeyConstraint(
            ["merchant_id", "user_id"],
            ["merchant_member.merchant_id", "merchant_member.user_id"],
            name="fk_merchant_member_store_member",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["store_id", "merchant_id"],
            ["store.id", "store.merchant_id"],
            name="fk_merchant_member_store_store",
        ),
    )

    merchant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    store_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


class Invitation(Model):
    """A single-use link by which somebody gets a login and roles; the link's token is kept as its SHA-256."""

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint("email = lower(email)", name="email_lower"),
        CheckConstraint("cardinality(roles) > 0", name="has_roles"),
        CheckConstraint("(merchant_id IS NULL) = (member_role IS NULL)", name="member_of_a_merchant"),
        CheckConstraint("(merchant_id IS NOT NULL) = ('merchant' = ANY (roles))", name="merchant_role"),
        CheckConstraint("team_id IS NULL OR 'trader' = ANY (roles)", name="team_of_a_trader"),
        one_of("member_role", MemberRole, nullable=True),
        one_of("invited_by_kind", ActorKind),
        Index("ix_invitation_email", "email"),
    )

    id: Mapped[UuidKey]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    email: Mapped[str] = mapped_column(Text)
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    merchant_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("merchant.id"))
    member_role: Mapped[str | None] = mapped_column(Text)
    team_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("team.id"))
    # None of them means all.
    store_ids: Mapped[list[uuid.UUID]] = mapped_column(ARRAY(Uuid()), server_default="{}")
    locale: Mapped[str] = mapped_column(Text, server_default="en")
    invited_by_kind: Mapped[str] = mapped_column(Text)
    invited_by_id: Mapped[uuid.UUID | None]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    accepted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))


class PasswordReset(Model):
    """A single-use link to a new password, open until a new password is set. `ip`: the network it was asked from."""

    __tablename__ = "password_reset"
    __table_args__ = (Index("ix_password_reset_user_id", "user_id"),)

    id: Mapped[UuidKey]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    ip: Mapped[str | None] = mapped_column(INET)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PasswordResetAsk(Model):
    """Somebody asked for a link, whether or not the email has a login: counted by network, in PostgreSQL."""

    __tablename__ = "password_reset_ask"
    __table_args__ = (
        Index("ix_password_reset_ask_network_at", "network", "at"),
        Index("ix_password_reset_ask_at", "at", postgresql_using="brin"),
    )

    id: Mapped[BigKey]
    network: Mapped[str | None] = mapped_column(INET)
    at: Mapped[CreatedAt]
