"""Double entry, signed amounts, integers of minor units. The database itself keeps the rules (migrations)."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.actors import ActorKind
from portal.core.db import Model
from portal.core.db.columns import BigKey, CreatedAt, Minor, UuidKey, one_of
from portal.core.modes import Mode
from portal.core.schema.row_rules import ONE_CHECK


class OwnerKind(StrEnum):
    PLATFORM = "platform"
    STORE = "store"
    TRADER = "trader"
    LEAD = "lead"
    WORLD = "world"


class AccountKind(StrEnum):
    AVAILABLE = "available"
    HELD = "held"
    FIAT = "fiat"
    REVENUE = "revenue"
    ADJUSTMENTS = "adjustments"
    SETTLEMENT = "settlement"


class EntryKind(StrEnum):
    DEPOSIT = "deposit"
    PAYIN_MATCHED = "payin_matched"
    PAYIN_COMPLETED = "payin_completed"
    PAYIN_RELEASED = "payin_released"
    PAYOUT_CREATED = "payout_created"
    PAYOUT_COMPLETED = "payout_completed"
    PAYOUT_RELEASED = "payout_released"
    WITHDRAWAL_ASKED = "withdrawal_asked"
    WITHDRAWAL_PAID = "withdrawal_paid"
    WITHDRAWAL_REFUSED = "withdrawal_refused"
    ADJUSTMENT = "adjustment"
    REVERSAL = "reversal"


class SubjectKind(StrEnum):
    ORDER = "order"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    ADJUSTMENT = "adjustment"
    DISPUTE = "dispute"


class LedgerAccount(Model):
    """One owner's money of one kind, currency and mode.

    `balance` is kept in the row only where `keeps_balance`; the accounts that every order touches
    (platform, world) derive theirs from the roll-up, because their row would be the one lock that all
    payments queue for. `floor` NULL means that the balance may be negative.
    """

    __tablename__ = "ledger_account"
    __table_args__ = (
        one_of("owner_kind", OwnerKind),
        one_of("kind", AccountKind),
        one_of("mode", Mode),
        CheckConstraint("floor IS NULL OR balance >= floor", name="floor"),
        CheckConstraint("keeps_balance OR balance = 0", name="derived_balance"),
        CheckConstraint("(owner_id IS NULL) = (owner_kind IN ('platform', 'world'))", name="owner"),
        Index(
            "uq_ledger_account_owner",
            "owner_kind",
            "owner_id",
            "kind",
            "currency",
            "mode",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        {"postgresql_with": {"fillfactor": "50"}, **ONE_CHECK},
    )

    id: Mapped[BigKey]
    owner_kind: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    kind: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text, ForeignKey("currency.code"))
    mode: Mapped[str] = mapped_column(Text)
    balance: Mapped[Minor] = mapped_column(server_default="0")
    floor: Mapped[int | None] = mapped_column(BigInteger)
    keeps_balance: Mapped[bool]
    created_at: Mapped[CreatedAt]


class LedgerEntry(Model):
    """A balanced set of postings: one business event. `round` numbers events that may happen again."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        one_of("kind", EntryKind),
        one_of("mode", Mode),
        one_of("subject_kind", SubjectKind),
        one_of("actor_kind", ActorKind),
        CheckConstraint("(kind = 'reversal') = (reverses_entry_id IS NOT NULL)", name="reversal"),
        CheckConstraint("kind NOT IN ('adjustment', 'reversal') OR reason IS NOT NULL", name="reason"),
        UniqueConstraint("subject_id", "kind", "round", name="uq_ledger_entry_subject_kind_round"),
        Index(
            "uq_ledger_entry_reverses_entry_id",
            "reverses_entry_id",
            unique=True,
            postgresql_where=text("reverses_entry_id IS NOT NULL"),
        ),
        ONE_CHECK,
    )

    id: Mapped[BigKey]
    kind: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    subject_kind: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True))
    round: Mapped[int] = mapped_column(Integer, server_default="0")
    reverses_entry_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("ledger_entry.id"))
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[CreatedAt]


class LedgerPosting(Model):
    """One signed movement on one account. `balance_after` is filled by the database.

    That account, currency and mode belong together, and that the entry exists, is checked by the triggers
    that see every posting: a foreign key would lock the row of `platform` and `world` in every payment, and
    neither accounts nor entries can be deleted or changed.
    """

    __tablename__ = "ledger_posting"
    __table_args__ = (
        CheckConstraint("amount <> 0 AND abs(amount) <= 1000000000000000", name="amount"),
        Index("ix_ledger_posting_entry_id", "entry_id"),
    )

    account_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[BigKey]
    entry_id: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    amount: Mapped[Minor]
    balance_after: Mapped[int | None] = mapped_column(BigInteger)


class LedgerRollup(Model):
    """Sum of the folded postings of an account that keeps no running balance."""

    __tablename__ = "ledger_rollup"

    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ledger_account.id"), primary_key=True)
    balance: Mapped[Minor] = mapped_column(server_default="0")
    folded_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )


class LedgerUnfolded(Model):
    """Postings that wait to be folded into the roll-up. Exact balance = roll-up + these, in one snapshot."""

    __tablename__ = "ledger_unfolded"
    __table_args__ = (
        Index("ix_ledger_unfolded_account_id", "account_id"),
        {
            "postgresql_with": {
                "autovacuum_vacuum_scale_factor": "0.01",
                "autovacuum_vacuum_threshold": "1000",
            }
        },
    )

    posting_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[Minor]


class Deposit(Model):
    """Settlement money that came in from outside, and by which reference it is found there. Append-only.

    The entry with this row's id as its subject moves `amount_minor` onto the account.
    """

    __tablename__ = "deposit"
    __table_args__ = (
        one_of("mode", Mode),
        one_of("actor_kind", ActorKind),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("reference <> ''", name="reference"),
    )

    id: Mapped[UuidKey]
    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ledger_account.id"))
    currency: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    amount_minor: Mapped[Minor]
    reference: Mapped[str] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    created_at: Mapped[CreatedAt]
