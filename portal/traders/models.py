"""Traders, their teams, and the requisites they receive to and pay from."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import INT8RANGE, Range
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import CreatedAt, Minor, UuidKey, one_of
from portal.core.modes import Mode
from portal.core.schema.row_rules import ONE_CHECK


class TraderStatus(StrEnum):
    PENDING = "pending"
    VERIFIED = "verified"
    SUSPENDED = "suspended"


class RequisiteStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUSPENDED = "suspended"
    ARCHIVED = "archived"


class Team(Model):
    """The traders of one lead, with the lead's own traffic switches."""

    __tablename__ = "team"
    __table_args__ = (Index("ix_team_lead_id", "lead_id"),)

    id: Mapped[UuidKey]
    name: Mapped[str] = mapped_column(Text)
    lead_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    payin_on: Mapped[bool] = mapped_column(server_default=text("true"))
    payout_on: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[CreatedAt]


class Trader(Model):
    """Somebody vetted who receives and pays fiat. Serves orders of one mode only.

    `verified_until`: when the clock ends the verification; None is never. `requisites`: how many of theirs are not
    archived, kept by a trigger of the database.
    """

    __tablename__ = "trader"
    __table_args__ = (
        one_of("status", TraderStatus),
        one_of("mode", Mode),
        Index("ix_trader_team_id", "team_id"),
        Index("ix_trader_name", text("lower(name)"), "id"),
        Index("ix_trader_created_at", "created_at", "id"),
        Index("ix_trader_requisites", "requisites", "id"),
        Index("ix_trader_blocked", "id", postgresql_where=text("is_blocked")),
        Index("ix_trader_unverified", "id", postgresql_where=text("status <> 'verified'")),
        Index(
            "ix_trader_words",
            func.lower(text("name")).label("words"),
            postgresql_using="gin",
            postgresql_ops={"words": "gin_trgm_ops"},
        ),
        Index(
            "ix_trader_verified_until", "verified_until", postgresql_where=text("verified_until IS NOT NULL")
        ),
    )

    id: Mapped[UuidKey]
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"), unique=True)
    team_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("team.id"))
    name: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text, server_default=Mode.LIVE.value)
    status: Mapped[str] = mapped_column(Text, server_default=TraderStatus.PENDING.value)
    is_working: Mapped[bool] = mapped_column(server_default=text("false"))
    is_blocked: Mapped[bool] = mapped_column(server_default=text("false"))
    blocked_reason: Mapped[str | None] = mapped_column(Text)
    lead_payin_on: Mapped[bool] = mapped_column(server_default=text("true"))
    lead_payout_on: Mapped[bool] = mapped_column(server_default=text("true"))
    verified_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    requisites: Mapped[int] = mapped_column(Integer, server_default="0")
    created_at: Mapped[CreatedAt]


# The least payin of the day that the row counts fits, as requisite_verdict() of portal/matching/sql says; a test compares
# them. All of it is in the row, so that the partial index below holds only what can be picked and the search never
# walks over what is exhausted or offline.
_CAN_TAKE_PAYIN = (
    "status = 'approved' AND payin_on AND trader_payin_on"
    " AND open_orders < max_open_orders"
    " AND (day_amount_limit IS NULL OR day_amount + min_amount <= day_amount_limit)"
    " AND (day_count_limit IS NULL OR day_count < day_count_limit)"
    " AND (window_amount_limit IS NULL OR window_amount + min_amount <= window_amount_limit)"
    " AND (total_amount_limit IS NULL OR total_amount + min_amount <= total_amount_limit)"
)


class Requisite(Model):
    """A card, account, phone or id of a trader, with its limits and their counters.

    Amounts are minor units of `currency`. Counters move in the transaction of the order that moves them:
    `open_orders` counts open orders, `day_*` the orders matched on `day` (the operator's calendar day) that
    were not released, `window_amount` those matched within the last `window_s`, `total_amount` all of them.
    `trader_payin_on` / `trader_payout_on` repeat the trader's and the team's switches (one verb of
    portal.traders.service keeps them) so that availability is a property of this row alone.
    """

    __tablename__ = "requisite"
    __table_args__ = (
        one_of("status", RequisiteStatus),
        one_of("mode", Mode),
        CheckConstraint("min_amount > 0 AND min_amount <= max_amount", name="amounts"),
        CheckConstraint("max_open_orders BETWEEN 1 AND 1000", name="max_open_orders"),
        CheckConstraint("weight BETWEEN 1 AND 100", name="weight"),
        CheckConstraint("tier BETWEEN 1 AND 9", name="tier"),
        CheckConstraint("(window_s IS NULL) = (window_amount_limit IS NULL)", name="window"),
        CheckConstraint(
            "open_orders >= 0 AND day_count >= 0 AND day_amount >= 0 AND window_amount >= 0 AND total_amount >= 0",
            name="counters",
        ),
        CheckConstraint(
            "decided_by IS NULL OR submitted_by IS NULL OR decided_by <> submitted_by", name="two_people"
        ),
        Index("ix_requisite_trader_id", "trader_id"),
        Index("ix_requisite_ready", "trader_id", postgresql_where=text("can_take_payin")),
        Index("ix_requisite_number_last4", "number_last4"),
        Index("ix_requisite_pending", "id", postgresql_where=text("status = 'pending'")),
        Index(
            "uq_requisite_number",
            "mode",
            "method",
            "number_index",
            unique=True,
            postgresql_where=text("status <> 'archived' AND status <> 'rejected'"),
        ),
        Index(
            "ix_requisite_ring",
            "mode",
            "method",
            "currency",
            "tier",
            "ring",
            postgresql_where=text("can_take_payin"),
        ),
        Index(
            "ix_requisite_fit",
            "mode",
            "method",
            "currency",
            "amounts",
            postgresql_using="gist",
            postgresql_where=text("can_take_payin"),
        ),
        Index(
            "ix_requisite_payout",
            "mode",
            "method",
            "currency",
            "trader_id",
            postgresql_where=text("status = 'approved' AND payout_on AND trader_payout_on"),
        ),
        # No counter may stand in an index or its condition: each match would then write every index anew.
        Index("ix_requisite_day", "day", postgresql_where=text("NOT can_take_payin")),
        {"postgresql_with": {"fillfactor": "70"}, **ONE_CHECK},
    )

    id: Mapped[UuidKey]
    trader_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trader.id"))
    mode: Mapped[str] = mapped_column(Text, server_default=Mode.LIVE.value)
    method: Mapped[str] = mapped_column(Text, ForeignKey("method.code"))
    currency: Mapped[str] = mapped_column(Text, ForeignKey("currency.code"))
    bank: Mapped[str | None] = mapped_column(Text, ForeignKey("bank.code"))
    number_encrypted: Mapped[bytes] = mapped_column(LargeBinary)
    number_index: Mapped[bytes] = mapped_column(LargeBinary)
    number_masked: Mapped[str] = mapped_column(Text)
    number_last4: Mapped[str] = mapped_column(Text)
    holder: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default=RequisiteStatus.PENDING.value)
    payin_on: Mapped[bool] = mapped_column(server_default=text("false"))
    payout_on: Mapped[bool] = mapped_column(server_default=text("false"))
    trader_payin_on: Mapped[bool] = mapped_column(server_default=text("false"))
    trader_payout_on: Mapped[bool] = mapped_column(server_default=text("false"))
    # The hold moves from the trader's `available` to their `held`, in the settlement currency.
    available_account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ledger_account.id"))
    held_account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ledger_account.id"))
    tier: Mapped[int] = mapped_column(SmallInteger, server_default="5")
    weight: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    ring: Mapped[int] = mapped_column(Integer, server_default=text("floor(random() * 2147483647)::int"))
    min_amount: Mapped[Minor]
    max_amount: Mapped[Minor]
    amounts: Mapped[Range[int]] = mapped_column(
        INT8RANGE, Computed("int8range(min_amount, max_amount, '[]')", persisted=True)
    )
    max_open_orders: Mapped[int] = mapped_column(SmallInteger, server_default="5")
    day_amount_limit: Mapped[int | None] = mapped_column(BigInteger)
    day_count_limit: Mapped[int | None] = mapped_column(Integer)
    window_s: Mapped[int | None] = mapped_column(Integer)
    window_amount_limit: Mapped[int | None] = mapped_column(BigInteger)
    total_amount_limit: Mapped[int | None] = mapped_column(BigInteger)
    open_orders: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    day: Mapped[date] = mapped_column(Date, server_default="1970-01-01")
    day_amount: Mapped[Minor] = mapped_column(server_default="0")
    day_count: Mapped[int] = mapped_column(Integer, server_default="0")
    window_amount: Mapped[Minor] = mapped_column(server_default="0")
    total_amount: Mapped[Minor] = mapped_column(server_default="0")
    can_take_payin: Mapped[bool] = mapped_column(Computed(_CAN_TAKE_PAYIN, persisted=True))
    created_at: Mapped[CreatedAt]
    approved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # Who handed it in (or changed where its money goes) and who decided about it last.
    submitted_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    decided_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    decision_reason: Mapped[str | None] = mapped_column(Text)
