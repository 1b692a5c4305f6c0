"""What somebody was told, and how they want to be told."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import DateTime, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import CreatedAt, UuidKey, one_of


class NotificationKind(StrEnum):
    NEW_ORDER = "new_order"
    DISPUTE_OPENED = "dispute_opened"
    APPROVAL_WANTED = "approval_wanted"
    ENDPOINT_DISABLED = "endpoint_disabled"
    NEW_DEVICE = "new_device"
    LEDGER_BROKEN = "ledger_broken"
    EXPOSURE_HIGH = "exposure_high"
    RATE_AGEING = "rate_ageing"
    SHORTFALLS_USED_UP = "shortfalls_used_up"


class Notification(Model):
    """One thing told to one person, once: `about` names the thing among those of its kind.

    `is_in_app` is the person's choice at that moment: without it the row only says that they were told.
    """

    __tablename__ = "notification"
    __table_args__ = (
        one_of("kind", NotificationKind),
        UniqueConstraint("user_id", "kind", "about", name="uq_notification_user_kind_about"),
        Index("ix_notification_user_id", "user_id", "id", postgresql_where=text("is_in_app")),
        Index("ix_notification_unread", "user_id", postgresql_where=text("is_in_app AND read_at IS NULL")),
        Index("ix_notification_about", "about", postgresql_where=text("is_in_app AND read_at IS NULL")),
        Index("ix_notification_created_at", "created_at", postgresql_using="brin"),
    )

    id: Mapped[UuidKey]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(Text)
    about: Mapped[str] = mapped_column(Text)
    params: Mapped[dict[str, str]] = mapped_column(JSONB)
    link: Mapped[str] = mapped_column(Text)
    is_in_app: Mapped[bool]
    created_at: Mapped[CreatedAt]
    read_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class NotificationChoice(Model):
    """How somebody wants to be told of one kind; who chose nothing gets the kind's default."""

    __tablename__ = "notification_choice"
    __table_args__ = (one_of("kind", NotificationKind),)

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    in_app: Mapped[bool]
    by_mail: Mapped[bool]
