"""`/availability`: can this amount be served now, and which amounts near it can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from flask import Response, request

from portal.api.answers import answer
from portal.api.authentication import current_caller
from portal.api.operations import operation
from portal.api.v1 import api_v1
from portal.api.v1.new_orders import active_currency, amount_of
from portal.api.validation import Amount, Answer, Code, Currency, Query, validated_query
from portal.core.errors import ValidationFailed
from portal.core.money import format_amount
from portal.identity.models import Scope
from portal.orders.availability import Availability, availability
from portal.orders.models import Direction
from portal.reference.queries import CurrencyInfo, list_methods


class AskAvailability(Query):
    direction: Direction
    currency: Currency
    amount: Amount
    method: Code | None = None
    bank: Code | None = None


class MethodAvailability(Answer):
    """`nearest_below` and `nearest_above` are given where the amount itself can't be served."""

    method: str
    available: bool
    nearest_below: str | None
    nearest_above: str | None


class AvailabilityOut(Answer):
    object: Literal["availability"]
    direction: Direction
    currency: str
    amount: str
    available: bool
    methods: list[MethodAvailability]


@api_v1.get("/availability", provide_automatic_options=False)
@operation(
    summary="Ask whether an amount can be served now",
    tag="Availability",
    scope=Scope.ORDERS_READ,
    description="A hint for what to offer, not a reservation. Without `method`, every method is asked.",
    query=AskAvailability,
    answer=AvailabilityOut,
    problems=(400, 422, 503),
)
def ask() -> Response:
    caller = current_caller()
    asked = validated_query(AskAvailability, request.args)
    currency = active_currency(asked.currency)
    amount_minor = amount_of(asked.amount, currency)
    known = [method.code for method in list_methods(currency.code)]
    if asked.method is not None and asked.method not in known:
        raise ValidationFailed.of("method", "unknown", f"There is no such method for {currency.code}.")
    found = [
        availability(
            caller.store, caller.mode, asked.direction, method, asked.bank, currency.code, amount_minor
        )
        for method in known
        if asked.method in {None, method}
    ]
    return answer(_written(asked, currency, amount_minor, found))


def _written(
    asked: AskAvailability, currency: CurrencyInfo, amount_minor: int, found: Sequence[Availability]
) -> dict[str, Any]:
    def amount(minor: int | None) -> str | None:
        return None if minor is None else format_amount(minor, currency.exponent)

    return {
        "object": "availability",
        "direction": asked.direction.value,
        "currency": currency.code,
        "amount": amount(amount_minor),
        "available": any(each.is_available for each in found),
        "methods": [
            {
                "method": each.method,
                "available": each.is_available,
                "nearest_below": amount(each.below_minor),
                "nearest_above": amount(each.above_minor),
            }
            for each in found
        ],
    }
