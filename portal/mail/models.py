"""Mail that waits to be sent, and the developers' mailbox."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, DateTime, Index, Integer, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import CreatedAt, Moment, UuidKey, one_of


class MailKind(StrEnum):
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a kind of mail
    NEW_DEVICE = "new_device"
    DISPUTE_OPENED = "dispute_opened"
    APPROVAL_WANTED = "approval_wanted"
    ENDPOINT_DISABLED = "endpoint_disabled"
    NEW_ORDER = "new_order"
    SECURITY_CHANGED = "security_changed"
    LEDGER_BROKEN = "ledger_broken"
    EXPOSURE_HIGH = "exposure_high"
    RATE_AGEING = "rate_ageing"
    SHORTFALLS_USED_UP = "shortfalls_used_up"


class MailState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"


class Mail(Model):
    """A mail to one person, written in the transaction of what it tells about.

    It has no text: that is made when it is sent. What only the receiver may know (a link that opens
    something) is in `secret_encrypted`, and gone once the mail is sent.
    """

    __tablename__ = "mail"
    __table_args__ = (
        one_of("kind", MailKind),
        one_of("state", MailState),
        CheckConstraint("state <> 'sent' OR secret_encrypted IS NULL", name="sent_has_no_secret"),
        Index("ix_mail_next_at", "next_at", postgresql_where=text("state = 'pending'")),
        Index("ix_mail_done_at", "done_at", postgresql_where=text("state <> 'pending'")),
    )

    id: Mapped[UuidKey]
    kind: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str] = mapped_column(Text)
    locale: Mapped[str] = mapped_column(Text)
    params: Mapped[dict[str, str]] = mapped_column(JSONB)
    secret_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    state: Mapped[str] = mapped_column(Text, server_default=MailState.PENDING.value)
    next_at: Mapped[Moment] = mapped_column(DateTime(timezone=True), server_default=text("clock_timestamp()"))
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    lease_token: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    last_error: Mapped[str | None] = mapped_column(Text)
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    dismissed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class MailboxMessage(Model):
    """A mail as its receiver would have seen it. Written in development alone, where no mail leaves the house."""

    __tablename__ = "mailbox_message"
    __table_args__ = (Index("ix_mailbox_message_at", "at"),)

    id: Mapped[UuidKey]
    recipient: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    at: Mapped[CreatedAt]
