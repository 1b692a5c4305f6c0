"""An appeal over an order."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.actors import ActorKind
from portal.core.db import Model
from portal.core.db.columns import CreatedAt, UuidKey, one_of


class DisputeReason(StrEnum):
    PAID_LATE = "paid_late"
    PAID_ANOTHER_AMOUNT = "paid_another_amount"
    NOT_CONFIRMED = "not_confirmed"
    NOT_RECEIVED = "not_received"
    WRONG_REQUISITE = "wrong_requisite"
    FAKE_RECEIPT = "fake_receipt"
    PAYOUT_NOT_RECEIVED = "payout_not_received"
    DUPLICATE = "duplicate"
    OTHER = "other"


class DisputeOutcome(StrEnum):
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Dispute(Model):
    """Open until somebody with the permission decides it. One open dispute an order."""

    __tablename__ = "dispute"
    __table_args__ = (
        one_of("reason", DisputeReason),
        one_of("outcome", DisputeOutcome, nullable=True),
        one_of("opened_by_kind", ActorKind),
        CheckConstraint("claimed_minor > 0", name="claimed"),
        CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name="decision"),
        Index("uq_dispute_open", "order_id", unique=True, postgresql_where=text("outcome IS NULL")),
        Index("ix_dispute_order_id", "order_id"),
    )

    id: Mapped[UuidKey]
    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("orders.id"))
    reason: Mapped[str] = mapped_column(Text)
    words: Mapped[str | None] = mapped_column(Text)
    claimed_minor: Mapped[int | None] = mapped_column(BigInteger)
    opened_by_kind: Mapped[str] = mapped_column(Text)
    opened_by_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    opened_at: Mapped[CreatedAt]
    outcome: Mapped[str | None] = mapped_column(Text)
    decision_reason: Mapped[str | None] = mapped_column(Text)
    decided_by_kind: Mapped[str | None] = mapped_column(Text)
    decided_by_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
