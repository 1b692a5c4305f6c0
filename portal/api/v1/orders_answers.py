"""What is answered about orders."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from portal.api.validation import Answer
from portal.orders.models import Direction, Status


class Settlement(Answer):
    """Amounts in the store's settlement currency; `rate` is fiat units for one settlement unit."""

    currency: str
    """The settlement currency of the store."""
    amount: str
    """The order's amount at the rate."""
    rate: str
    """Units of the order's currency for one of the settlement currency."""
    rate_source: str
    """Where the rate came from."""
    rate_at: datetime
    """When the rate was seen."""
    fee: str
    """What we take."""
    net: str
    """What your balance gains (payin) or spends (payout)."""


class RequisiteOut(Answer):
    """Where to pay to (of a payout: whom). `number` is masked for whoever only reads, in lists and webhooks, and as
    soon as nothing is to be paid there."""

    method: str | None
    """Code of the method."""
    bank: str | None
    """Code of the bank, if it matters."""
    number: str | None
    """Card, phone, account or other number; masked where it need not be known."""
    holder: str | None
    """Whose number it is."""


class CustomerOut(Answer):
    id: str
    """Your own id of the customer."""


class OrderOut(Answer):
    """An order. `final` says that nothing will change any more; an `expired` order may still be completed."""

    id: str
    """ord_ and 26 characters."""
    object: Literal["order"]
    """What this is."""
    version: int
    """Raised by each change: of two copies the higher one is newer."""
    mode: Literal["live", "test"]
    """Whether it is money or play, as the key that made it."""
    status: Status
    """Where the order stands."""
    status_reason: str | None
    """Why it stands there, for programs, where there is a reason."""
    final: bool
    """Whether nothing will change any more."""
    direction: Direction
    """`payin`: a customer pays you. `payout`: you pay somebody."""
    amount: str
    """What is to be paid."""
    currency: str
    """What it is paid in."""
    amount_received: str | None
    """What really came; null until then."""
    amount_reported: str | None
    """What the receiver says came, where it is further from `amount` than your tolerance and waits for the customer's word."""
    method: str | None
    """Code of the method; null until the customer has chosen."""
    bank: str | None
    """Code of the bank, if one was named."""
    settlement: Settlement
    """What it is in your settlement currency, at the rate that was fixed when it was created."""
    requisite: RequisiteOut | None
    """Where the customer of a payin pays; null until somebody is found, and for a payout."""
    recipient: RequisiteOut | None
    """Whom a payout pays; null for a payin."""
    payment_url: Annotated[
        str | None,
        Field(
            description="Where the customer of a payin pays. Whoever has it acts as the customer: null for a payout,"
            " without the scope orders:write, and in webhooks."
        ),
    ]
    external_id: str | None
    """Your own id of the order."""
    customer: CustomerOut | None
    """Your own id of the customer, if you gave one."""
    return_url: str | None
    """Where the payment page leads back to."""
    description: str | None
    """What it is for."""
    locale: Literal["ru", "en"] | None
    """The payment page's language, if you chose one."""
    metadata: dict[str, Any]
    """What you gave."""
    match_by: datetime | None
    """Until when somebody is looked for who takes the order."""
    pay_by: datetime | None
    """Until when it is to be paid."""
    confirm_by: datetime | None
    """Until when the receipt of the money is to be confirmed."""
    created_at: datetime
    """When it was created."""
    updated_at: datetime
    """When it last changed."""


class OrderList(Answer):
    object: Literal["list"]
    """What this is."""
    data: list[OrderOut]
    """The newest first."""
    has_more: bool
    """Whether there are older ones."""
    next_cursor: str | None
    """Give it as `cursor` to see them; null on the last page."""


class ReceiptOut(Answer):
    id: str
    """rcp_ and 26 characters."""
    object: Literal["receipt"]
    """What this is."""
    order_id: str
    """The order it belongs to."""
    content_type: Literal["image/jpeg", "image/png", "image/webp", "application/pdf"]
    """What kind of file is kept."""
    size_bytes: int
    """How large it is."""
    created_at: datetime
    """When it was attached."""
