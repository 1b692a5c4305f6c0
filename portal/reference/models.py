"""What money is called, how it travels, through whom, at which rate; and what the operator has changed."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.actors import ActorKind
from portal.core.db import Model
from portal.core.db.columns import BigKey, CreatedAt, Minor, Moment, one_of


class RequisiteKind(StrEnum):
    """What a requisite of a method looks like, and so how its number is checked."""

    CARD = "card"
    PHONE = "phone"
    ACCOUNT = "account"
    IBAN = "iban"
    UPI = "upi"


class QrStandard(StrEnum):
    EPC = "epc"
    UPI = "upi"


class RateSourceKind(StrEnum):
    MANUAL = "manual"
    HTTP_JSON = "http_json"


class Currency(Model):
    """A currency; `exponent` is the number of decimals of its minor unit."""

    __tablename__ = "currency"
    __table_args__ = (
        CheckConstraint("code ~ '^[A-Z]{3,5}$'", name="code"),
        CheckConstraint("exponent BETWEEN 0 AND 8", name="exponent"),
    )

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    exponent: Mapped[int] = mapped_column(SmallInteger)
    name_en: Mapped[str] = mapped_column(Text)
    name_ru: Mapped[str] = mapped_column(Text)
    is_settlement: Mapped[bool] = mapped_column(server_default=text("false"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))


class Method(Model):
    """A way for money to travel, such as a card transfer or SEPA."""

    __tablename__ = "method"
    __table_args__ = (
        CheckConstraint("code ~ '^[a-z][a-z0-9_]{1,31}$'", name="code"),
        one_of("requisite_kind", RequisiteKind),
        one_of("qr_standard", QrStandard, nullable=True),
    )

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    requisite_kind: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    name_ru: Mapped[str] = mapped_column(Text)
    qr_standard: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    sort: Mapped[int] = mapped_column(SmallInteger, server_default="100")


class MethodCurrency(Model):
    """A method in one currency, with the bounds of one order in minor units of that currency."""

    __tablename__ = "method_currency"
    __table_args__ = (CheckConstraint("min_amount > 0 AND min_amount <= max_amount", name="amounts"),)

    method: Mapped[str] = mapped_column(Text, ForeignKey("method.code"), primary_key=True)
    currency: Mapped[str] = mapped_column(Text, ForeignKey("currency.code"), primary_key=True)
    min_amount: Mapped[Minor]
    max_amount: Mapped[Minor]
    bank_required: Mapped[bool] = mapped_column(server_default=text("false"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))


class Bank(Model):
    """A bank or wallet; `country` is its ISO 3166 code."""

    __tablename__ = "bank"
    __table_args__ = (
        CheckConstraint("code ~ '^[a-z][a-z0-9_]{1,31}$'", name="code"),
        CheckConstraint("country ~ '^[A-Z]{2}$'", name="country"),
    )

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name_en: Mapped[str] = mapped_column(Text)
    name_ru: Mapped[str] = mapped_column(Text)
    country: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    sort: Mapped[int] = mapped_column(SmallInteger, server_default="100")


class BankMethod(Model):
    """A bank that can be chosen for a method in a currency."""

    __tablename__ = "bank_method"
    __table_args__ = (
        ForeignKeyConstraint(["method", "currency"], ["method_currency.method", "method_currency.currency"]),
        Index("ix_bank_method_method_currency", "method", "currency"),
    )

    bank: Mapped[str] = mapped_column(Text, ForeignKey("bank.code"), primary_key=True)
    method: Mapped[str] = mapped_column(Text, primary_key=True)
    currency: Mapped[str] = mapped_column(Text, primary_key=True)


class RatePair(Model):
    """The rate of one fiat currency (`quote`) to one settlement currency (`base`), and where it comes from.

    `current_micros` is the accepted raw rate: quote units for one base unit, x 10^6, before the spread. It is
    NULL until a first one was set or accepted. Older than `stale_after_s` it is not used any more.
    """

    __tablename__ = "rate_pair"
    __table_args__ = (
        one_of("source_kind", RateSourceKind),
        CheckConstraint("base <> quote", name="two_currencies"),
        CheckConstraint("spread_bps BETWEEN 0 AND 5000", name="spread_bps"),
        CheckConstraint("max_deviation_bps BETWEEN 1 AND 10000", name="max_deviation_bps"),
        CheckConstraint("stale_after_s BETWEEN 10 AND 2592000", name="stale_after_s"),
        CheckConstraint("refresh_every_s BETWEEN 10 AND 86400", name="refresh_every_s"),
        CheckConstraint("consecutive_failures >= 0", name="consecutive_failures"),
        CheckConstraint("current_micros > 0", name="current_micros"),
        CheckConstraint(
            "(current_micros IS NULL) = (observed_at IS NULL)"
            " AND (current_micros IS NULL) = (current_source IS NULL)",
            name="current",
        ),
        CheckConstraint(
            "source_kind = 'manual' OR (feed_url IS NOT NULL AND json_pointer IS NOT NULL)", name="feed"
        ),
        Index(
            "ix_rate_pair_next_refresh_at",
            "next_refresh_at",
            postgresql_where=text("source_kind = 'http_json' AND is_active"),
        ),
    )

    base: Mapped[str] = mapped_column(Text, ForeignKey("currency.code"), primary_key=True)
    quote: Mapped[str] = mapped_column(Text, ForeignKey("currency.code"), primary_key=True)
    source_kind: Mapped[str] = mapped_column(Text, server_default=RateSourceKind.MANUAL.value)
    feed_url: Mapped[str | None] = mapped_column(Text)
    json_pointer: Mapped[str | None] = mapped_column(Text)
    spread_bps: Mapped[int] = mapped_column(Integer, server_default="0")
    max_deviation_bps: Mapped[int] = mapped_column(Integer, server_default="500")
    stale_after_s: Mapped[int] = mapped_column(Integer, server_default="86400")
    refresh_every_s: Mapped[int] = mapped_column(Integer, server_default="60")
    next_refresh_at: Mapped[Moment] = mapped_column(server_default=func.now())
    last_error: Mapped[str | None] = mapped_column(Text)
    consecutive_failures: Mapped[int] = mapped_column(Integer, server_default="0")
    current_micros: Mapped[int | None] = mapped_column(BigInteger)
    current_source: Mapped[str | None] = mapped_column(Text)
    observed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))


class RateHistory(Model):
    """Every rate that was set or fetched, also those refused. Append-only.

    `payin_micros` and `payout_micros` are what orders got with the spread of that time. `observed_at` of an accepted
    one is the pair's, and so the `rate_at` of its orders: the proof finds their rates by it.
    """

    __tablename__ = "rate_history"
    __table_args__ = (
        ForeignKeyConstraint(["base", "quote"], ["rate_pair.base", "rate_pair.quote"]),
        one_of("actor_kind", ActorKind),
        CheckConstraint(
            "payin_micros >= raw_micros AND raw_micros >= payout_micros AND payout_micros > 0", name="micros"
        ),
        CheckConstraint("accepted = (refusal IS NULL)", name="refusal"),
        Index("ix_rate_history_base_quote_id", "base", "quote", "id"),
        Index("ix_rate_history_base_quote_observed_at", "base", "quote", "observed_at"),
    )

    id: Mapped[BigKey]
    base: Mapped[str] = mapped_column(Text)
    quote: Mapped[str] = mapped_column(Text)
    raw_micros: Mapped[int] = mapped_column(BigInteger)
    payin_micros: Mapped[int] = mapped_column(BigInteger)
    payout_micros: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(Text)
    observed_at: Mapped[Moment]
    accepted: Mapped[bool]
    refusal: Mapped[str | None] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    created_at: Mapped[CreatedAt]


class ConfigSetting(Model):
    """An operator's override of a setting; its default lives in the registry."""

    __tablename__ = "config_setting"
    __table_args__ = (one_of("actor_kind", ActorKind),)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB(none_as_null=False))
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    updated_at: Mapped[Moment] = mapped_column(server_default=func.now())


class ConfigSettingHistory(Model):
    """Each change of a setting; NULL means the default. Append-only."""

    __tablename__ = "config_setting_history"
    __table_args__ = (one_of("actor_kind", ActorKind), Index("ix_config_setting_history_key_id", "key", "id"))

    id: Mapped[BigKey]
    key: Mapped[str] = mapped_column(Text)
    old_value: Mapped[Any] = mapped_column(JSONB(none_as_null=True), nullable=True)
    new_value: Mapped[Any] = mapped_column(JSONB(none_as_null=True), nullable=True)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    created_at: Mapped[CreatedAt]
