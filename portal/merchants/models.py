"""Merchants, stores, and what a store pays."""

from __future__ import annotations

import uuid

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import CreatedAt, Minor, UuidKey


class Merchant(Model):
    """Who has stores. `stores` and `members`: how many they have, kept by triggers of the database."""

    __tablename__ = "merchant"
    __table_args__ = (
        Index("ix_merchant_name", text("lower(name)"), "id"),
        Index("ix_merchant_created_at", "created_at", "id"),
        Index("ix_merchant_stores", "stores", "id"),
        Index("ix_merchant_members", "members", "id"),
        Index("ix_merchant_off", "id", postgresql_where=text("NOT is_active")),
        Index(
            "ix_merchant_words",
            func.lower(text("name")).label("words"),
            postgresql_using="gin",
            postgresql_ops={"words": "gin_trgm_ops"},
        ),
    )

    id: Mapped[UuidKey]
    name: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[CreatedAt]
    stores: Mapped[int] = mapped_column(Integer, server_default="0")
    members: Mapped[int] = mapped_column(Integer, server_default="0")


class Store(Model):
    """A merchant's point of acceptance.

    `return_origins` are the exact https origins a customer may be sent back to, and the only ones that
    may frame the payment page.
    """

    __tablename__ = "store"
    __table_args__ = (
        CheckConstraint("accent_colour ~ '^#[0-9a-f]{6}$'", name="accent_colour"),
        CheckConstraint("tolerance_bps BETWEEN 0 AND 10000 AND tolerance_minor >= 0", name="tolerance"),
        # What refers to a store of a merchant refers to both, so that it can't be another merchant's.
        UniqueConstraint("id", "merchant_id"),
        Index("ix_store_merchant_id", "merchant_id"),
        Index(
            "ix_store_words",
            func.lower(text("name")).label("words"),
            postgresql_using="gin",
            postgresql_ops={"words": "gin_trgm_ops"},
        ),
    )

    id: Mapped[UuidKey]
    merchant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("merchant.id"))
    name: Mapped[str] = mapped_column(Text)
    logo_key: Mapped[str | None] = mapped_column(Text)
    accent_colour: Mapped[str] = mapped_column(Text, server_default="#0b5fff")
    support_contact: Mapped[str | None] = mapped_column(Text)
    settlement_currency: Mapped[str] = mapped_column(Text, ForeignKey("currency.code"), server_default="USDT")
    return_origins: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    payin_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    payout_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    receipt_required: Mapped[bool] = mapped_column(server_default=text("false"))
    # How far what came may be from an order's amount without the customer's word; both hold (portal.merchants.tolerance).
    tolerance_bps: Mapped[int] = mapped_column(SmallInteger, server_default="10")
    tolerance_minor: Mapped[Minor] = mapped_column(server_default="1000000")
    created_at: Mapped[CreatedAt]


class FeePlan(Model):
    """What one direction of a store costs; frozen into each order at its creation.

    All shares are basis points of the order's settlement amount, `fixed_minor` is in minor units of the
    settlement currency. The platform keeps store fee - trader commission - lead commission, which may be
    negative only where `allows_negative_margin` says so.
    """

    __tablename__ = "fee_plan"
    __table_args__ = (
        CheckConstraint("direction IN ('payin', 'payout')", name="direction"),
        CheckConstraint("store_fee_bps BETWEEN 0 AND 5000", name="store_fee_bps"),
        CheckConstraint("trader_commission_bps BETWEEN 0 AND 5000", name="trader_commission_bps"),
        CheckConstraint("lead_commission_bps BETWEEN 0 AND 5000", name="lead_commission_bps"),
        CheckConstraint("fixed_minor >= 0", name="fixed_minor"),
        CheckConstraint(
            "allows_negative_margin OR store_fee_bps >= trader_commission_bps + lead_commission_bps",
            name="margin",
        ),
        Index(
            "uq_fee_plan_store_direction_method",
            "store_id",
            "direction",
            text("coalesce(method, '')"),
            unique=True,
        ),
    )

    id: Mapped[UuidKey]
    store_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("store.id"))
    direction: Mapped[str] = mapped_column(Text)
    method: Mapped[str | None] = mapped_column(Text, ForeignKey("method.code"))
    store_fee_bps: Mapped[int] = mapped_column(SmallInteger)
    fixed_minor: Mapped[Minor] = mapped_column(server_default="0")
    trader_commission_bps: Mapped[int] = mapped_column(SmallInteger)
    lead_commission_bps: Mapped[int] = mapped_column(SmallInteger)
    allows_negative_margin: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]


class StoreTraffic(Model):
    """Which traders a store's orders go to.

    `pin`: only pinned traders serve this store. `exclude`: never this one. `split`: this share of the
    orders (percent) is offered to this trader first.
    """

    __tablename__ = "store_traffic"
    __table_args__ = (
        CheckConstraint("rule IN ('pin', 'exclude', 'split')", name="rule"),
        CheckConstraint("(rule = 'split') = (percent IS NOT NULL)", name="percent_of_split"),
        CheckConstraint("percent BETWEEN 1 AND 100", name="percent"),
    )

    store_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("store.id"), primary_key=True)
    trader_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trader.id"), primary_key=True)
    rule: Mapped[str] = mapped_column(Text)
    percent: Mapped[int | None] = mapped_column(SmallInteger)
