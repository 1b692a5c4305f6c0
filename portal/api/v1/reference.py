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
from portal.core.database_clock import database_now
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

_KEEP_S = 300
_KEEP_RATES_S = 5


class OfCurrency(Query):
    currency: Currency | None = None


class OfMethod(Query):
    currency: Currency | None = None
    method: Code | None = None


class Names(Answer):
    en: str
    ru: str


class CurrencyOut(Answer):
    """`exponent` is the number of decimals; balances are kept in settlement currencies."""

    code: str
    exponent: int
    name: Names
    is_settlement: bool


class MethodOut(Answer):
    """A method in one currency; the bounds are those of one order."""

    code: str
    currency: str
    name: Names
    requisite_kind: Literal["card", "phone", "account", "iban", "upi"]
    min_amount: str
    max_amount: str
    bank_required: bool
    qr_standard: Literal["epc", "upi"] | None


class BankOut(Answer):
    """A bank that can be chosen for a method in a currency."""

    code: str
    method: str
    currency: str
    name: Names
    country: str


_Rate = Annotated[
    str | None, Field(description="Units of `quote` for one `base`; null when there is no fresh one.")
]


class RateOut(Answer):
    """The rates that an order created now would get."""

    base: str
    quote: str
    payin: _Rate
    payout: _Rate
    source: str | None
    observed_at: datetime | None


class CurrencyList(Answer):
    object: Literal["list"]
    data: list[CurrencyOut]


class MethodList(Answer):
    object: Literal["list"]
    data: list[MethodOut]


class BankList(Answer):
    object: Literal["list"]
    data: list[BankOut]


class RateList(Answer):
    object: Literal["list"]
    data: list[RateOut]


def _kept(rows: list[dict[str, Any]], keep_s: int) -> Response:
    """The list with an ETag: the same data is a 304 for who has it already."""
    response = answer({"object": "list", "data": rows})
    response.headers["Cache-Control"] = f"public, max-age={keep_s}"
    response.add_etag()
    response.make_conditional(request)
    return response


@api_v1.get("/reference/currencies", provide_automatic_options=False)
@operation(summary="List the currencies", tag="Reference", is_public=True, answer=CurrencyList)
def currencies() -> Response:
    rows: list[dict[str, Any]] = [
        {
            "code": currency.code,
            "exponent": currency.exponent,
            "name": {"en": currency.name_en, "ru": currency.name_ru},
            "is_settlement": currency.is_settlement,
        }
        for currency in list_currencies()
    ]
    return _kept(rows, _KEEP_S)


@api_v1.get("/reference/methods", provide_automatic_options=False)
@operation(
    summary="List the methods of each currency",
    tag="Reference",
    is_public=True,
    query=OfCurrency,
    answer=MethodList,
    problems=(400, 422),
)
def methods() -> Response:
    asked = validated_query(OfCurrency, request.args)
    return _kept([row for code in _codes(asked.currency) for row in _methods_of(code)], _KEEP_S)


def _codes(only: str | None) -> list[str]:
    return [currency.code for currency in list_currencies() if only in {None, currency.code}]


def _methods_of(currency: str) -> list[dict[str, Any]]:
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
    summary="List the banks of each method",
    tag="Reference",
    is_public=True,
    query=OfMethod,
    answer=BankList,
    problems=(400, 422),
)
def banks() -> Response:
    asked = validated_query(OfMethod, request.args)
    rows: list[dict[str, Any]] = [
        {
            "code": bank.code,
            "method": method.code,
            "currency": currency,
            "name": {"en": bank.name_en, "ru": bank.name_ru},
            "country": bank.country,
        }
        for currency in _codes(asked.currency)
        for method in list_methods(currency)
        if asked.method in {None, method.code}
        for bank in list_banks(method.code, currency)
    ]
    return _kept(rows, _KEEP_S)


@api_v1.get("/reference/rates", provide_automatic_options=False)
@operation(
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
    now = database_now()
    known = set(_codes(asked.currency))
    return _kept([_rate(rate, now) for rate in list_rates() if rate.quote in known], _KEEP_RATES_S)


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
