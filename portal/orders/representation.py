"""An order as merchants see it: the object of the API and of the webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal.core.crypto import derived_token
from portal.core.ids import public_id
from portal.core.money import format_amount, format_rate
from portal.orders.models import BEING_PAID
from portal.orders.record import OrderRecord
from portal.reference.queries import get_currency
from portal.settings import get_settings


def moment(value: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, as everywhere in the API."""
    if value is None:
        return None
    return value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def payment_url(order: OrderRecord) -> str:
    """Where the customer pays: a token derived from the order, stored nowhere."""
    return f"{get_settings().public_url}/pay/{derived_token('payment', order.id)}"


def order_object(order: OrderRecord, number: str | None = None, *, with_link: bool = False) -> dict[str, Any]:
    """The order object as whoever only reads gets it: masked, and without the link, which can choose and cancel.

    `number` (the requisite's full number, shown while it is paid to) and `with_link` are for who may write orders.
    """
    exponent = get_currency(order.currency).exponent
    received, reported = order.amount_received_minor, order.amount_reported_minor
    return {
        "id": public_id("ord", order.id),
        "object": "order",
        "version": order.version,
        "mode": order.mode,
        "status": order.status,
        "status_reason": order.status_reason,
        "final": order.is_final,
        "direction": order.direction,
        "amount": format_amount(order.amount_minor, exponent),
        "currency": order.currency,
        "amount_received": None if received is None else format_amount(received, exponent),
        "amount_reported": None if reported is None else format_amount(reported, exponent),
        "method": order.method,
        "bank": order.bank,
        "settlement": _settlement(order),
        "requisite": _requisite(order, number),
        "recipient": None if order.is_payin else _recipient(order),
        "payment_url": payment_url(order) if order.is_payin and with_link else None,
        "external_id": order.external_id,
        "customer": {"id": order.customer_ref} if order.customer_ref else None,
        "return_url": order.return_url,
        "description": order.description,
        "locale": order.locale,
        "metadata": order.order_metadata,
        "match_by": moment(order.match_by),
        "pay_by": moment(order.pay_by),
        "confirm_by": moment(order.confirm_by),
        "created_at": moment(order.created_at),
        "updated_at": moment(order.updated_at),
    }


def event_data(order: OrderRecord) -> dict[str, Any]:
    """The object as an event keeps it: whoever is told need not be who may write orders."""
    return order_object(order)


def _settlement(order: OrderRecord) -> dict[str, Any]:
    """Amounts in settlement currency. `net` is what the store's balance gains (payin) or spends (payout)."""
    exponent = get_currency(order.settlement_currency).exponent
    net = order.settlement_minor - order.fee_minor * (1 if order.is_payin else -1)
    return {
        "currency": order.settlement_currency,
        "amount": format_amount(order.settlement_minor, exponent),
        "rate": format_rate(order.rate_micros),
        "rate_source": order.rate_source,
        "rate_at": moment(order.rate_at),
        "fee": format_amount(order.fee_minor, exponent),
        "net": format_amount(net, exponent),
    }


def _requisite(order: OrderRecord, number: str | None) -> dict[str, Any] | None:
    if order.requisite_id is None or not order.is_payin:
        return None
    shown = number if number is not None and order.status in BEING_PAID else order.requisite_masked
    return requisite_object(order.method, order.requisite_bank, shown, order.requisite_holder)


def requisite_object(
    method: str | None, bank: str | None, number: str | None, holder: str | None
) -> dict[str, Any]:
    return {"method": method, "bank": bank, "number": number, "holder": holder}


def _recipient(order: OrderRecord) -> dict[str, Any]:
    return {
        "method": order.method,
        "bank": order.bank,
        "number": order.recipient_masked,
        "holder": order.recipient_holder,
    }
