"""Orders (payins and payouts), their timeline, receipts, and requisites they had before."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import INET, JSONB, UUID
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.actors import ActorKind
from portal.core.db import Model
from portal.core.db.columns import BigKey, CreatedAt, Minor, Moment, UuidKey, one_of
from portal.core.modes import Mode
from portal.core.schema.row_rules import ONE_CHECK


class Direction(StrEnum):
    PAYIN = "payin"
    PAYOUT = "payout"


class Status(StrEnum):
    REVIEW = "review"
    MATCHING = "matching"
    AWAITING_PAYMENT = "awaiting_payment"
    AWAITING_PAYOUT = "awaiting_payout"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    DISPUTED = "disputed"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"


FINAL = frozenset({Status.COMPLETED, Status.CANCELLED, Status.FAILED})
# A requisite works on the order: its limits are taken, and no other order of the same amount may join it.
ASSIGNED = frozenset(
    {Status.AWAITING_PAYMENT, Status.AWAITING_PAYOUT, Status.AWAITING_CONFIRMATION, Status.DISPUTED}
)
# A trader has it, and nobody disputes it.
UNDER_WAY = ASSIGNED - {Status.DISPUTED}
# A payin whose customer is shown the number they pay to: a hold is there, and no dispute is open.
BEING_PAID = frozenset({Status.AWAITING_PAYMENT, Status.AWAITING_CONFIRMATION})
# Nothing happens to it any more but by a new dispute.
ENDED = FINAL | {Status.EXPIRED}
OPEN = frozenset(Status) - ENDED
# Of the open ones those that somebody waits in front of; the others an order passes through with its trader.
STANDING = OPEN - UNDER_WAY


def sql_list(statuses: Collection[Status]) -> str:
    """`('review', 'matching')`, in the order of an order's life: for the constant texts of statements and indexes."""
    return "(" + ", ".join(f"'{status.value}'" for status in Status if status in statuses) + ")"


class Order(Model):
    """One payin or payout. Everything its price depends on is frozen at creation.

    `amount_minor` is fiat in minor units of `currency`; `settlement_minor`, `fee_minor` and the
    commissions are minor units of `settlement_currency` at `rate_micros` (fiat units per settlement unit
    x 10^6). For a payin `hold_minor` is what the trader's deposit holds now, for a payout what the
    store's balance holds. `due_at` is the one deadline the clock acts on in the present status.
    `round` counts assignments; `version` counts changes and orders the webhooks.

    There is no foreign key to store, requisite, trader or reference rows: checking one would lock a row
    that all payments share. Those rows are never deleted (the database refuses it), which is what the key
    would guarantee.
    """

    __tablename__ = "orders"
    __table_args__ = (
        one_of("direction", Direction),
        one_of("status", Status),
        one_of("mode", Mode),
        CheckConstraint("amount_minor > 0 AND amount_minor <= 1000000000000000", name="amount"),
        CheckConstraint("amount_received_minor > 0", name="amount_received"),
        CheckConstraint("amount_reported_minor > 0", name="amount_reported"),
        CheckConstraint("settlement_minor > 0 AND fee_minor >= 0 AND rate_micros > 0", name="settlement"),
        CheckConstraint("hold_minor >= 0", name="hold"),
        CheckConstraint(
            f"status NOT IN {sql_list(UNDER_WAY)} OR requisite_id IS NOT NULL",
            name="assigned",
        ),
        CheckConstraint(
            "status NOT IN ('completed', 'cancelled', 'failed') OR (due_at IS NULL AND hold_minor = 0)",
            name="final",
        ),
        Index(
            "uq_orders_external_id",
            "store_id",
            "mode",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index(
            "uq_orders_requisite_open_amount",
            "requisite_id",
            "amount_minor",
            unique=True,
            postgresql_where=text(f"direction = 'payin' AND status IN {sql_list(BEING_PAID)}"),
        ),
        Index(
            "ix_orders_disputed_amount",
            "requisite_id",
            "amount_minor",
            postgresql_where=text("status = 'disputed'"),
        ),
        Index("ix_orders_store", "store_id", "mode", "id"),
        # Statuses that an order only passes through are found among the newest: indexing them would cost
        # every transition an entry.
        Index(
            "ix_orders_store_status",
            "store_id",
            "mode",
            "status",
            "id",
            postgresql_where=text(
                "status NOT IN ('matching', 'awaiting_payment', 'awaiting_payout', 'awaiting_confirmation')"
            ),
        ),
        Index(
            "ix_orders_ended_trader",
            "trader_id",
            "id",
            postgresql_where=text("trader_id IS NOT NULL AND ended_at IS NOT NULL"),
        ),
        Index(
            "ix_orders_trader_ended_at",
            "trader_id",
            "ended_at",
            "id",
            postgresql_where=text("trader_id IS NOT NULL AND ended_at IS NOT NULL"),
        ),
        Index(
            "ix_orders_open_trader",
            "trader_id",
            postgresql_where=text(f"trader_id IS NOT NULL AND status IN {sql_list(OPEN)}"),
        ),
        Index("ix_orders_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_orders_retry_at", "retry_at", postgresql_where=text("retry_at IS NOT NULL")),
        Index(
            "ix_orders_window_leaves_at",
            "window_leaves_at",
            postgresql_where=text("window_leaves_at IS NOT NULL"),
        ),
        Index(
            "ix_orders_customer_store",
            "customer_ref",
            "store_id",
            "id",
            postgresql_where=text("customer_ref IS NOT NULL"),
        ),
        Index("ix_orders_customer_ip", "customer_ip", "id", postgresql_where=text("customer_ip IS NOT NULL")),
        Index(
            "ix_orders_open_customer",
            "customer_ref",
            "store_id",
            postgresql_where=text("direction = 'payin' AND hold_minor > 0 AND customer_ref IS NOT NULL"),
        ),
        Index(
            "ix_orders_open_network",
            text("customer_network(customer_ip)"),
            "store_id",
            postgresql_where=text("direction = 'payin' AND hold_minor > 0 AND customer_ip IS NOT NULL"),
        ),
        Index(
            "ix_orders_network_store",
            text("customer_network(customer_ip)"),
            "store_id",
            "id",
            postgresql_where=text("customer_ip IS NOT NULL"),
        ),
        Index(
            "ix_orders_status",
            "status",
            postgresql_where=text("status IN ('review', 'disputed', 'matching')"),
        ),
        {"postgresql_with": {"fillfactor": "80"}, **ONE_CHECK},
    )

    id: Mapped[UuidKey]
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    mode: Mapped[str] = mapped_column(Text)
    direction: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    status_reason: Mapped[str | None] = mapped_column(Text)
    store_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True))
    external_id: Mapped[str | None] = mapped_column(Text)

    amount_minor: Mapped[Minor]
    amount_received_minor: Mapped[int | None] = mapped_column(BigInteger)
    # What the receiver says that came, while nobody has agreed to it yet; None when it has ended.
    amount_reported_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    method: Mapped[str | None] = mapped_column(Text)
    bank: Mapped[str | None] = mapped_column(Text)

    settlement_currency: Mapped[str] = mapped_column(Text)
    settlement_minor: Mapped[Minor]
    fee_minor: Mapped[Minor]
    rate_micros: Mapped[Minor]
    rate_source: Mapped[str] = mapped_column(Text)
    rate_at: Mapped[Moment]
    store_fee_bps: Mapped[int] = mapped_column(SmallInteger)
    fixed_fee_minor: Mapped[Minor]
    trader_commission_bps: Mapped[int] = mapped_column(SmallInteger)
    lead_commission_bps: Mapped[int] = mapped_column(SmallInteger)

    requisite_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    trader_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    # What the requisite looked like when it was given: never the full number.
    requisite_bank: Mapped[str | None] = mapped_column(Text)
    requisite_masked: Mapped[str | None] = mapped_column(Text)
    requisite_holder: Mapped[str | None] = mapped_column(Text)
    round: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    hold_minor: Mapped[Minor] = mapped_column(server_default="0")
    assigned_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # Calendar day whose counters this order uses on its requisite; None once they are given back.
    counted_day: Mapped[date | None] = mapped_column(Date)
    window_leaves_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    recipient_number_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    recipient_number_index: Mapped[bytes | None] = mapped_column(LargeBinary)
    recipient_masked: Mapped[str | None] = mapped_column(Text)
    recipient_holder: Mapped[str | None] = mapped_column(Text)

    customer_ref: Mapped[str | None] = mapped_column(Text)
    customer_ip: Mapped[str | None] = mapped_column(INET)
    customer_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    payer_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)

    return_url: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    locale: Mapped[str | None] = mapped_column(Text)
    order_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default="{}")
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)

    match_by: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    pay_by: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    confirm_by: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    retry_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    status_before_dispute: Mapped[str | None] = mapped_column(Text)
    match_trace: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    claimed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_payin(self) -> bool:
        return self.direction == Direction.PAYIN


class OrderEvent(Model):
    """One step in the life of an order: the timeline that every portal shows. Append-only."""

    __tablename__ = "order_event"
    __table_args__ = (
        one_of("actor_kind", ActorKind),
        # The sealer of chains looks at the newest alone.
        Index("ix_order_event_id", "id", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    )

    order_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    id: Mapped[BigKey]
    event: Mapped[str] = mapped_column(Text)
    from_status: Mapped[str | None] = mapped_column(Text)
    to_status: Mapped[str] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    reason: Mapped[str | None] = mapped_column(Text)
    at: Mapped[CreatedAt]


class PastAssignment(Model):
    """A requisite that had the order and lost it; the order never comes back to it."""

    __tablename__ = "past_assignment"

    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    requisite_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requisite.id"), primary_key=True)
    trader_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trader.id"))
    assigned_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[CreatedAt]
    reason: Mapped[str] = mapped_column(Text)


class ReceiptKind(StrEnum):
    PAYMENT = "payment"  # from the customer of a payin
    PAYOUT_PROOF = "payout_proof"  # from the trader of a payout


class Receipt(Model):
    """A proof of payment: a re-encoded image or a PDF. It moves no money."""

    __tablename__ = "receipt"
    __table_args__ = (
        one_of("kind", ReceiptKind),
        one_of("actor_kind", ActorKind),
        CheckConstraint("size_bytes > 0", name="size"),
        UniqueConstraint("file_key"),
        Index("ix_receipt_order_id", "order_id"),
        Index("ix_receipt_sha256", "sha256"),
        Index("ix_receipt_seen_sha256", "seen_sha256", postgresql_where=text("seen_sha256 IS NOT NULL")),
        Index("ix_receipt_look", "look", postgresql_where=text("look IS NOT NULL")),
    )

    id: Mapped[UuidKey]
    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("orders.id"))
    kind: Mapped[str] = mapped_column(Text)
    file_key: Mapped[str] = mapped_column(Text)
    content_type: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    # SHA-256 of the bytes as uploaded, and of the pixels that people see (None: kept before that was measured); `look`
    # is a 64-bit difference hash of what is seen.
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    seen_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    look: Mapped[int | None] = mapped_column(BigInteger)
    # What people are shown instead of a PDF; None where the file itself is the picture.
    picture_key: Mapped[str | None] = mapped_column(Text)
    # Of the picture, in pixels; the pages of the whole document; whether there is nothing to be seen on it.
    # None: kept before these were measured.
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)
    pages: Mapped[int | None] = mapped_column(Integer)
    is_blank: Mapped[bool | None]
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    created_at: Mapped[CreatedAt]
