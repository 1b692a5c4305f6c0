"""Reads of reference data: plain immutable objects, served from memory.

All of it is small, so all of it is one snapshot. Whether a rate is stale is judged at every use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, text

from portal.core.db import db
from portal.core.db.clock import database_now
from portal.core.money import BPS
from portal.reference import configuration as config
from portal.reference.errors import RateUnavailable, UnknownCurrency, UnknownMethod
from portal.reference.models import QrStandard, RatePair, RequisiteKind
from portal.reference.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class CurrencyInfo:
    """`exponent` is the number of decimals: 1.00 is 10^exponent minor units."""

    code: str
    exponent: int
    name_en: str
    name_ru: str
    is_settlement: bool
    is_active: bool

    def name(self, locale: str) -> str:
        return self.name_ru if locale.startswith("ru") else self.name_en


@dataclass(frozen=True, slots=True)
class MethodInfo:
    code: str
    requisite_kind: RequisiteKind
    name_en: str
    name_ru: str
    qr_standard: QrStandard | None
    is_active: bool

    def name(self, locale: str) -> str:
        return self.name_ru if locale.startswith("ru") else self.name_en


@dataclass(frozen=True, slots=True)
class BankInfo:
    code: str
    name_en: str
    name_ru: str
    country: str
    is_active: bool

    def name(self, locale: str) -> str:
        return self.name_ru if locale.startswith("ru") else self.name_en


@dataclass(frozen=True, slots=True)
class MethodTerms:
    """Bounds of one order in minor units of the currency.

    `bank_required`: a requisite or a recipient of this method is of no use without its bank.
    """

    min_minor: int
    max_minor: int
    bank_required: bool


@dataclass(frozen=True, slots=True)
class RateQuote:
    """`micros`: fiat units for one settlement unit x 10^6, the spread included."""

    micros: int
    source: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class RateInfo:
    """A pair and its accepted raw rate (before the spread), if it has one."""

    base: str
    quote: str
    source_kind: str
    spread_bps: int
    stale_after_s: int
    raw_micros: int | None
    source: str | None
    observed_at: datetime | None

    def is_fresh(self, now: datetime) -> bool:
        return self.observed_at is not None and now - self.observed_at <= timedelta(
            seconds=self.stale_after_s
        )


@dataclass(frozen=True, slots=True)
class ReferenceData:
    currencies: dict[str, CurrencyInfo]
    methods: dict[str, MethodInfo]
    banks: dict[str, BankInfo]
    terms: dict[tuple[str, str], MethodTerms]
    methods_of: dict[str, tuple[MethodInfo, ...]]
    banks_of: dict[tuple[str, str], tuple[BankInfo, ...]]
    rates: dict[tuple[str, str], RateInfo]


_CURRENCIES = text(
    "SELECT code, exponent, name_en, name_ru, is_settlement, is_active FROM currency ORDER BY code"
)
_METHODS = text(
    "SELECT code, requisite_kind, name_en, name_ru, qr_standard, is_active FROM method ORDER BY sort, code"
)
_TERMS = text(
    "SELECT mc.method, mc.currency, mc.min_amount, mc.max_amount, mc.bank_required"
    " FROM method_currency mc JOIN method m ON m.code = mc.method JOIN currency c ON c.code = mc.currency"
    " WHERE mc.is_active AND m.is_active AND c.is_active ORDER BY m.sort, m.code"
)
_BANKS = text("SELECT code, name_en, name_ru, country, is_active FROM bank ORDER BY sort, name_en")
_BANK_METHODS = text(
    "SELECT bm.bank, bm.method, bm.currency FROM bank_method bm JOIN bank b ON b.code = bm.bank"
    " WHERE b.is_active ORDER BY b.sort, b.name_en"
)
_RATES = text(
    "SELECT base, quote, source_kind, spread_bps, stale_after_s, current_micros, current_source, observed_at"
    " FROM rate_pair WHERE is_active ORDER BY base, quote"
)


def _load(connection: Connection) -> ReferenceData:
    currencies = {row.code: CurrencyInfo(*row) for row in connection.execute(_CURRENCIES)}
    methods = {
        row.code: MethodInfo(
            row.code,
            RequisiteKind(row.requisite_kind),
            row.name_en,
            row.name_ru,
            QrStandard(row.qr_standard) if row.qr_standard else None,
            row.is_active,
        )
        for row in connection.execute(_METHODS)
    }
    banks = {row.code: BankInfo(*row) for row in connection.execute(_BANKS)}
    terms: dict[tuple[str, str], MethodTerms] = {}
    methods_of: dict[str, tuple[MethodInfo, ...]] = {}
    for method, currency, minimum, maximum, bank_required in connection.execute(_TERMS):
        terms[method, currency] = MethodTerms(minimum, maximum, bank_required)
        methods_of[currency] = (*methods_of.get(currency, ()), methods[method])
    banks_of: dict[tuple[str, str], tuple[BankInfo, ...]] = {}
    for bank, method, currency in connection.execute(_BANK_METHODS):
        if (method, currency) in terms:
            banks_of[method, currency] = (*banks_of.get((method, currency), ()), banks[bank])
    rates = {(row.base, row.quote): RateInfo(*row) for row in connection.execute(_RATES)}
    return ReferenceData(currencies, methods, banks, terms, methods_of, banks_of, rates)


snapshot = Snapshot("reference", _load, lambda: config.get(config.REFERENCE_CACHE_TTL_S))


def find_currency(code: str) -> CurrencyInfo | None:
    return snapshot.get().currencies.get(code)


def get_currency(code: str) -> CurrencyInfo:
    """The currency, also an inactive one: old orders still need its exponent. Raises UnknownCurrency."""
    found = find_currency(code)
    if found is None:
        raise UnknownCurrency(f"Currency {code[:8]!r} is not known here.")
    return found


def list_currencies() -> tuple[CurrencyInfo, ...]:
    """The active currencies by code."""
    return tuple(currency for currency in snapshot.get().currencies.values() if currency.is_active)


def default_settlement_currency() -> str:
    """What is settled in where nobody names a currency: the active settlement currency with most rate pairs.

    Of several with as many it is the first by code, so that one which was only just added changes nothing. Raises
    UnknownCurrency when there is none.
    """
    data = snapshot.get()
    codes = [c.code for c in data.currencies.values() if c.is_active and c.is_settlement]
    if not codes:
        raise UnknownCurrency("There is no active settlement currency. Add one: flask seed reference.")
    bases = Counter(base for base, _quote in data.rates)
    return min(codes, key=lambda code: (-bases[code], code))


def find_method(code: str) -> MethodInfo | None:
    return snapshot.get().methods.get(code)


def get_method(code: str) -> MethodInfo:
    """The method, also an inactive one. Raises UnknownMethod."""
    found = find_method(code)
    if found is None:
        raise UnknownMethod(f"Method {code[:32]!r} is not known here.")
    return found


def list_methods(currency: str) -> tuple[MethodInfo, ...]:
    """The methods that can be used in a currency now, in the order to show them."""
    return snapshot.get().methods_of.get(currency, ())


def method_terms(method: str, currency: str) -> MethodTerms | None:
    """Bounds of an order, or None when the method can't be used in this currency now."""
    return snapshot.get().terms.get((method, currency))


def find_bank(code: str) -> BankInfo | None:
    return snapshot.get().banks.get(code)


def list_banks(method: str, currency: str) -> tuple[BankInfo, ...]:
    """The banks that can be chosen for a method in a currency now, in the order to show them."""
    return snapshot.get().banks_of.get((method, currency), ())


def list_rate_pairs() -> Sequence[RatePair]:
    """Every pair with its source, its raw rate and the last error, by name."""
    return db.session.scalars(select(RatePair).order_by(RatePair.base, RatePair.quote)).all()


def list_rates() -> tuple[RateInfo, ...]:
    """The active pairs, with or without a rate, fresh or not."""
    return tuple(snapshot.get().rates.values())


def with_spread(raw_micros: int, spread_bps: int, direction: str) -> int:
    """The rate an order gets, in micros; the spread is the platform's, and so is the rounding.

    payin: raw x (1 + spread), rounded up. payout: raw x (1 - spread), rounded down, at least 1.
    """
    if direction == "payin":
        return -(-raw_micros * (BPS + spread_bps) // BPS)
    if direction == "payout":
        return max(1, raw_micros * (BPS - spread_bps) // BPS)
    raise ValueError(f"unknown direction {direction!r}")


def current_rate(quote_currency: str, base_currency: str, direction: str) -> RateQuote:
    """The rate for an order created now. Raises RateUnavailable when there is none, or only a stale one."""
    rate = snapshot.get().rates.get((base_currency, quote_currency))
    if rate is None or rate.raw_micros is None or rate.source is None or rate.observed_at is None:
        raise RateUnavailable(f"There is no exchange rate for {quote_currency} to {base_currency}.")
    if not rate.is_fresh(database_now()):
        raise RateUnavailable(f"The exchange rate for {quote_currency} to {base_currency} is out of date.")
    return RateQuote(with_spread(rate.raw_micros, rate.spread_bps, direction), rate.source, rate.observed_at)
