"""Bodies and queries of orders."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field

from portal.api.validation import (
    RFC3339,
    Amount,
    Body,
    Code,
    Currency,
    Filled,
    OneLine,
    Query,
    refused,
)
from portal.orders.models import Direction, Status

MAX_METADATA_KEYS = 50
MAX_METADATA_BYTES = 4096


def _ip(text: str) -> str:
    # A zone (`%eth0`) names an interface of somebody's own machine: it is no part of an address that can be kept.
    try:
        if "%" not in text:
            return str(ip_address(text))
    except ValueError:
        pass
    raise refused("malformed", "Give an IPv4 or IPv6 address.")


def _email(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not at or not local or "." not in domain or " " in text or ".." in domain:
        raise refused("malformed", "Give an email address.")
    return text


def _metadata(value: dict[str, str]) -> dict[str, str]:
    if len(value) > MAX_METADATA_KEYS:
        raise refused("too_many", f"Metadata may have {MAX_METADATA_KEYS} keys.")
    if any(not 1 <= len(key) <= 64 for key in value):
        raise refused("too_large", "A key of metadata has 1 to 64 characters.")
    if len(orjson.dumps(value)) > MAX_METADATA_BYTES:
        raise refused("too_large", f"Metadata may have {MAX_METADATA_BYTES // 1024} KB.")
    return value


Metadata = Annotated[
    dict[OneLine, OneLine],
    AfterValidator(_metadata),
    Field(
        description=f"Up to {MAX_METADATA_KEYS} keys of strings, 4 KB altogether; given back as it is.",
        json_schema_extra={"maxProperties": MAX_METADATA_KEYS},
    ),
]
ExternalId = Annotated[Filled, Field(min_length=1, max_length=128, description="Your own id of the order.")]
Number = Annotated[OneLine, Field(min_length=4, max_length=64)]
Holder = Annotated[Filled, Field(min_length=1, max_length=120)]


class CustomerIn(Body):
    """Who pays, as far as you know. `id` and `ip` feed the risk rules."""

    id: Annotated[Filled, Field(min_length=1, max_length=128)] | None = None
    """Your own id of the customer; the risk rules count by it."""
    name: Annotated[Filled, Field(min_length=1, max_length=200)] | None = None
    """What the customer is called."""
    email: Annotated[OneLine, Field(max_length=254), AfterValidator(_email)] | None = None
    """Where the customer is written to."""
    ip: Annotated[str, Field(max_length=45), AfterValidator(_ip)] | None = None
    """From where the customer orders, IPv4 or IPv6; the risk rules count by it."""


class RecipientIn(Body):
    """Where a payout goes. The number is checked (Luhn, IBAN, E.164 ...) and stored encrypted."""

    method: Code
    """How the money is sent, as in /reference/methods."""
    bank: Code | None = None
    """The bank of the number, as in /reference/banks; some methods need it."""
    number: Number
    """Card, phone, account or other number that the method sends to."""
    holder: Holder
    """Whose number it is."""


# What a payin and a payout need beyond the fields' own rules, as the server refuses it.
_BY_DIRECTION: dict[str, Any] = {
    "allOf": [
        {
            "if": {"properties": {"direction": {"const": "payout"}}, "required": ["direction"]},
            "then": {"properties": {"recipient": {"type": "object"}}, "required": ["recipient"]},
            "else": {"properties": {"recipient": {"type": "null"}}},
        },
        {
            "if": {
                "properties": {"direction": {"const": "payin"}, "bank": {"type": "string"}},
                "required": ["direction", "bank"],
            },
            "then": {"properties": {"method": {"type": "string"}}, "required": ["method"]},
        },
    ]
}


class CreateOrder(Body):
    """A payin (`method` may be left open for the payment page) or a payout (with a `recipient`)."""

    LINES = frozenset({"description", "metadata"})
    model_config = ConfigDict(json_schema_extra=_BY_DIRECTION)

    direction: Literal["payin", "payout"]
    """`payin`: a customer pays you. `payout`: you pay somebody."""
    amount: Amount
    currency: Currency
    """What is paid in; not the settlement currency."""
    method: Code | None = None
    """How a payin is paid, as in /reference/methods; left out, the customer chooses on the payment page."""
    bank: Code | None = None
    """The bank to receive through, as in /reference/banks; only with `method`."""
    recipient: RecipientIn | None = None
    """Whom a payout pays; a payin has none."""
    external_id: ExternalId | None = None
    """Your own id of the order: the same one twice is refused."""
    customer: CustomerIn | None = None
    """Who pays, as far as you know."""
    return_url: Annotated[str, Field(max_length=2048)] | None = None
    """Where the payment page leads back to: one of the store's registered origins."""
    description: Annotated[OneLine, Field(max_length=500)] | None = None
    """What it is for; the customer reads it."""
    locale: Literal["ru", "en"] | None = None
    """The payment page's language; without it the browser's."""
    metadata: Metadata | None = None
    """Up to 50 keys of strings, 4 KB altogether; given back as it is."""


class ChooseMethod(Body):
    method: Code
    """Code of the method, as in /reference/methods."""
    bank: Code | None = None
    """Code of the bank, as in /reference/banks; some methods need it."""


class PayerIn(Body):
    """What helps the trader to recognise the payment."""

    name: Annotated[Filled, Field(min_length=1, max_length=120)] | None = None
    """In whose name the money was sent."""
    last4: Annotated[str, Field(pattern=r"^[0-9]{4}$")] | None = None
    """The last four digits of the card or account it was sent from."""
    bank: Annotated[Filled, Field(min_length=1, max_length=120)] | None = None
    """From which bank it was sent."""
    reference: Annotated[Filled, Field(min_length=1, max_length=120)] | None = None
    """What the bank calls the transfer."""


class ClaimOrder(Body):
    payer: PayerIn | None = None
    """What helps the trader to recognise the payment."""


class CancelOrder(Body):
    reason: Annotated[Filled, Field(min_length=1, max_length=200)] | None = None
    """Why, for the order's history."""


class Nothing(Body):
    """An empty object."""


def _written_time(value: object) -> object:
    if isinstance(value, str) and not RFC3339.fullmatch(value):
        raise refused("malformed", "Give a time such as 2026-01-31T12:00:00Z.")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_time)]
Limit = Annotated[int, Field(ge=1, le=100, description="Lines on a page.")]
Cursor = Annotated[str, Field(max_length=64, description="`next_cursor` of the page before.")]


class ListOrders(Query):
    external_id: ExternalId | None = None
    """Only the order with this id of yours."""
    status: Status | None = None
    """Only orders in this status."""
    direction: Direction | None = None
    """Only payins or only payouts."""
    created_from: Moment | None = None
    """Only orders created at this moment or later."""
    created_to: Moment | None = None
    """Only orders created before this moment."""
    cursor: Cursor | None = None
    """`next_cursor` of the page before."""
    limit: Limit = 20
