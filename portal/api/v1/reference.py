"""`/reference`: currencies, methods, banks and rates. Public, and worth keeping for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from flask import Response, request
from pydantic import Field

from portal.api.answers import answer
from portal.api.operations import operation
from portal.api.v1 import api_v1
from portal.api.validation import Answer, Code, Currency, Query, validated_query
from portal.core.answer_cache import answers
from portal.core.db.clock import database_now
from portal.core.money import format_amount, format_rate
from portal.orders.representation import moment
from portal.reference.queries import (
    RateInfo,
    get_currency,
    list_banks,
    list_currencies,
    list_methods,
    list_rates,
    method_terms,
    with_spread,
)

# How long whoever asked may keep an answer, and how long the house keeps it for whoever asks next.
_KEEP_S = 300
_KEEP_RATES_S = 5
_KEEP_HERE_S = 5


class OfCurrency(Query):
    currency: Currency | None = None
    """Only of this currency."""


class OfMethod(Query):
    currency: Currency | None = None
    """Only of this currency."""
    method: Code | None = None
    """Only of this method."""


class Names(Answer):
    en: str
    """In English."""
    ru: str
    """In Russian."""


class CurrencyOut(Answer):
    """`exponent` is the number of decimals; balances are kept in settlement currencies."""

    code: str
    """What it is called in the API."""
    exponent: int
    """How many decimals its amounts have."""
    name: Names
    """What people read."""
    is_settlement: bool
    """Whether balances are kept in it; orders are paid in the others."""


class MethodOut(Answer):
    """A method in one currency; the bounds are those of one order."""

    code: str
    """What it is called in the API."""
    currency: str
    """In which currency this line holds."""
    name: Names
    """What people read."""
    requisite_kind: Literal["card", "phone", "account", "iban", "upi"]
    """What kind of number one pays to."""
    min_amount: str
    """The smallest order."""
    max_amount: str
    """The largest order."""
    bank_required: bool
    """Whether a bank has to be named."""
    qr_standard: Literal["epc", "upi"] | None
    """Which QR code the payment page shows; null for none."""


class BankOut(Answer):
    """A bank that can be chosen for a method in a currency."""

    code: str
    """What it is called in the API."""
    method: str
    """For which method this line holds."""
    currency: str
    """In which currency."""
    name: Names
    """What people read."""
    country: str
    """Two letters (ISO 3166)."""


_Rate = Annotated[
    str | None, Field(description="Units of `quote` for one `base`; null when there is no fresh one.")
]


class RateOut(Answer):
    """The rates that an order created now would get."""

    base: str
    """The settlement currency."""
    quote: str
    """The currency that is paid in."""
    payin: _Rate
    payout: _Rate
    source: str | None
    """Where the rate came from; null when there is none."""
    observed_at: datetime | None
    """When it was seen; null when there is none."""


class CurrencyList(Answer):
    object: Literal["list"]
    """What this is."""
    data: list[CurrencyOut]
    """By code."""


class MethodList(Answer):
    object: Literal["list"]
    """What this is."""
    data: list[MethodOut]
    """One line for each method and currency, in the order to show them."""


class BankList(Answer):
    object: Literal["list"]
    """What this is."""
    data: list[BankOut]
    """One line for each bank, method and currency, in the order to show them."""


class RateList(Answer):
    object: Literal["list"]
    """What this is."""
    data: list[RateOut]
    """One line for each pair."""


def _kept(rows: list[dict[str, Any]], keep_s: int) -> Response:
    """The list with an ETag: the same data is a 304 for who has it already."""
    response = answer({"object": "list", "data": rows})
    response.headers["Cache-Control"] = f"public, max-age={keep_s}"
    response.add_etag()
    response.make_conditional(request)
    return response


@api_v1.get("/reference/currencies", provide_automatic_options=False)
@operation(
    id="list_currencies", summary="List the currencies", tag="Reference", is_public=True, answer=CurrencyList
)
def currencies() -> Response:
    return _kept(_currency_rows(), _KEEP_S)


@answers.cached(timeout=_KEEP_HERE_S, make_cache_key=lambda: "reference:currencies")
def _currency_rows() -> list[dict[str, Any]]:
    return [
        {
            "code": currency.code,
            "exponent": currency.exponent,
            "name": {"en": currency.name_en, "ru": currency.name_ru},
            "is_settlement": currency.is_settlement,
        }
        for currency in list_currencies()
    ]


@api_v1.get("/reference/methods", provide_automatic_options=False)
@operation(
    id="list_methods",
    summary="List the methods of each currency",
    tag="Reference",
    is_public=True,
    query=OfCurrency,
    answer=MethodList,
    problems=(400, 422),
)
def methods() -> Response:
    asked = validated_query(OfCurrency, request.args)
    return _kept([row for code in _codes(asked.currency) for row in _method_rows(code)], _KEEP_S)


def _codes(only: str | None) -> list[str]:
    return [currency.code for currency in list_currencies() if only in {None, currency.code}]


@answers.cached(timeout=_KEEP_HERE_S, make_cache_key=lambda currency: f"reference:methods:{currency}")
def _method_rows(currency: str) -> list[dict[str, Any]]:
    exponent = get_currency(currency).exponent
    rows: list[dict[str, Any]] = []
    for method in list_methods(currency):
        terms = method_terms(method.code, currency)
        if terms is not None:
            rows.append(
                {
                    "code": method.code,
                    "currency": currency,
                    "name": {"en": method.name_en, "ru": method.name_ru},
                    "requisite_kind": method.requisite_kind.value,
                    "min_amount": format_amount(terms.min_minor, exponent),
                    "max_amount": format_amount(terms.max_minor, exponent),
                    "bank_required": terms.bank_required,
                    "qr_standard": method.qr_standard.value if method.qr_standard else None,
                }
            )
    return rows


@api_v1.get("/reference/banks", provide_automatic_options=False)
@operation(
    id="list_banks",
    summary="List the banks of each method",
    tag="Reference",
    is_public=True,
    query=OfMethod,
    answer=BankList,
    problems=(400, 422),
)
def banks() -> Response:
    asked = validated_query(OfMethod, request.args)
    rows = [row for code in _codes(asked.currency) for row in _bank_rows(code)]
    return _kept([row for row in rows if asked.method in {None, row["method"]}], _KEEP_S)


@answers.cached(timeout=_KEEP_HERE_S, make_cache_key=lambda currency: f"reference:banks:{currency}")
def _bank_rows(currency: str) -> list[dict[str, Any]]:
    return [
        {
            "code": bank.code,
            "method": method.code,
            "currency": currency,
            "name": {"en": bank.name_en, "ru": bank.name_ru},
            "country": bank.country,
        }
        for method in list_methods(currency)
        for bank in list_banks(method.code, currency)
    ]


@api_v1.get("/reference/rates", provide_automatic_options=False)
@operation(
    id="list_rates",
    summary="List the exchange rates",
    tag="Reference",
    is_public=True,
    description="A rate that is out of date is null, and orders in its currency get `rate_unavailable`.",
    query=OfCurrency,
    answer=RateList,
    problems=(400, 422),
)
def rates() -> Response:
    asked = validated_query(OfCurrency, request.args)
    known = set(_codes(asked.currency))
    return _kept([row for row in _rate_rows() if row["quote"] in known], _KEEP_RATES_S)


@answers.cached(timeout=_KEEP_HERE_S, make_cache_key=lambda: "reference:rates")
def _rate_rows() -> list[dict[str, Any]]:
    now = database_now()
    return [_rate(rate, now) for rate in list_rates()]


def _rate(rate: RateInfo, now: datetime) -> dict[str, Any]:
    raw = rate.raw_micros if rate.is_fresh(now) else None
    return {
        "base": rate.base,
        "quote": rate.quote,
        "payin": None if raw is None else format_rate(with_spread(raw, rate.spread_bps, "payin")),
        "payout": None if raw is None else format_rate(with_spread(raw, rate.spread_bps, "payout")),
        "source": rate.source,
        "observed_at": moment(rate.observed_at),
    }
