"""Bodies, queries and answers of orders."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field

from portal.api.validation import (
    RFC3339,
    Amount,
    Answer,
    Body,
    Code,
    Currency,
    OneLine,
    Query,
    refused,
)
from portal.orders.models import Direction, Status

MAX_METADATA_KEYS = 50
MAX_METADATA_BYTES = 4096


def _ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise refused("malformed", "Give an IPv4 or IPv6 address.") from None


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
ExternalId = Annotated[OneLine, Field(min_length=1, max_length=128, description="Your own id of the order.")]
Number = Annotated[OneLine, Field(min_length=4, max_length=64)]
Holder = Annotated[OneLine, Field(min_length=1, max_length=120)]


class CustomerIn(Body):
    """Who pays, as far as you know. `id` and `ip` feed the risk rules."""

    id: Annotated[OneLine, Field(min_length=1, max_length=128)] | None = None
    name: Annotated[OneLine, Field(min_length=1, max_length=200)] | None = None
    email: Annotated[OneLine, Field(max_length=254), AfterValidator(_email)] | None = None
    ip: Annotated[str, Field(max_length=45), AfterValidator(_ip)] | None = None


class RecipientIn(Body):
    """Where a payout goes. The number is checked (Luhn, IBAN, E.164 ...) and stored encrypted."""

    method: Code
    bank: Code | None = None
    number: Number
    holder: Holder


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
    amount: Amount
    currency: Currency
    method: Code | None = None
    bank: Code | None = None
    recipient: RecipientIn | None = None
    external_id: ExternalId | None = None
    customer: CustomerIn | None = None
    return_url: Annotated[str, Field(max_length=2048)] | None = None
    description: Annotated[OneLine, Field(max_length=500)] | None = None
    locale: Literal["ru", "en"] | None = None
    metadata: Metadata | None = None


class ChooseMethod(Body):
    method: Code
    bank: Code | None = None


class PayerIn(Body):
    """What helps the trader to recognise the payment."""

    name: Annotated[OneLine, Field(min_length=1, max_length=120)] | None = None
    last4: Annotated[str, Field(pattern=r"^[0-9]{4}$")] | None = None
    bank: Annotated[OneLine, Field(min_length=1, max_length=120)] | None = None
    reference: Annotated[OneLine, Field(min_length=1, max_length=120)] | None = None


class ClaimOrder(Body):
    payer: PayerIn | None = None


class CancelOrder(Body):
    reason: Annotated[OneLine, Field(min_length=1, max_length=200)] | None = None


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
    status: Status | None = None
    direction: Direction | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class Settlement(Answer):
    """Amounts in the store's settlement currency; `rate` is fiat units for one settlement unit."""

    currency: str
    amount: str
    rate: str
    rate_source: str
    rate_at: datetime
    fee: str
    net: str


class RequisiteOut(Answer):
    """Where to pay to (of a payout: whom). `number` is masked for whoever only reads, in lists and webhooks, and as
    soon as nothing is to be paid there."""

    method: str | None
    bank: str | None
    number: str | None
    holder: str | None


class CustomerOut(Answer):
    id: str


class OrderOut(Answer):
    """An order. `final` says that nothing will change any more; an `expired` order may still be completed."""

    id: str
    object: Literal["order"]
    version: int
    mode: Literal["live", "test"]
    status: Status
    status_reason: str | None
    final: bool
    direction: Direction
    amount: str
    currency: str
    amount_received: str | None
    amount_reported: str | None
    method: str | None
    bank: str | None
    settlement: Settlement
    requisite: RequisiteOut | None
    recipient: RequisiteOut | None
    payment_url: Annotated[
        str | None,
        Field(
            description="Where the customer of a payin pays. Whoever has it acts as the customer: null for a payout,"
            " without the scope orders:write, and in webhooks."
        ),
    ]
    external_id: str | None
    customer: CustomerOut | None
    return_url: str | None
    description: str | None
    locale: str | None
    metadata: dict[str, Any]
    match_by: datetime | None
    pay_by: datetime | None
    confirm_by: datetime | None
    created_at: datetime
    updated_at: datetime


class OrderList(Answer):
    object: Literal["list"]
    data: list[OrderOut]
    has_more: bool
    next_cursor: str | None


class ReceiptOut(Answer):
    id: str
    object: Literal["receipt"]
    order_id: str
    content_type: str
    size_bytes: int
    created_at: datetime
