"""`/availability`: can this amount be served now, and which amounts near it can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from flask import Response, request

from portal.api.answers import answer
from portal.api.authentication import current_caller
from portal.api.operations import operation
from portal.api.v1 import api_v1
from portal.api.v1.new_orders import amount_of
from portal.api.validation import Amount, Answer, Code, Currency, Query, validated_query
from portal.core.money import format_amount
from portal.identity.models import Scope
from portal.orders.availability import Availability, availability
from portal.orders.models import Direction
from portal.reference.queries import CurrencyInfo, list_methods
from portal.reference.ways import active_currency, usable_terms


class AskAvailability(Query):
    direction: Direction
    """Whether the money comes in from a customer or goes out to one."""
    currency: Currency
    """The currency that is paid in."""
    amount: Amount
    method: Code | None = None
    """Only this method; every method of the currency without it."""
    bank: Code | None = None
    """Only through this bank."""


class MethodAvailability(Answer):
    """`nearest_below` and `nearest_above` are given where the amount itself can't be served."""

    method: str
    """Code of the method, as in /reference/methods."""
    available: bool
    """Whether an order of this amount would be served now."""
    nearest_below: str | None
    """The nearest smaller amount that would be served; null where there is none, or none is needed."""
    nearest_above: str | None
    """The nearest larger amount that would be served; null where there is none, or none is needed."""


class AvailabilityOut(Answer):
    object: Literal["availability"]
    """What this is."""
    direction: Direction
    """As asked."""
    currency: str
    """As asked."""
    amount: str
    """As asked, with all decimals of the currency."""
    available: bool
    """Whether at least one of the methods can serve the amount."""
    methods: list[MethodAvailability]
    """Each method that was asked."""


@api_v1.get("/availability", provide_automatic_options=False)
@operation(
    id="check_availability",
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
    if asked.method is not None:
        usable_terms(asked.method, currency.code)
        methods = [asked.method]
    else:
        methods = [method.code for method in list_methods(currency.code)]
    found = [
        availability(
            caller.store, caller.mode, asked.direction, method, asked.bank, currency.code, amount_minor
        )
        for method in methods
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
