"""What a trader sees of their orders besides the order itself."""

from __future__ import annotations

import uuid

import orjson

from portal.core.crypto import decrypt
from portal.core.db import hot
from portal.orders.record import OrderRecord
from portal.orders.service.claim import PayerDetails


def payer_of(order: OrderRecord) -> PayerDetails | None:
    """What the customer said about how they paid; None before they said anything. Never log it."""
    if order.payer_encrypted is None:
        return None
    return PayerDetails(**orjson.loads(decrypt("orders", "payer", order.id, order.payer_encrypted)))


_GIVEN_BACK = """
SELECT EXISTS (SELECT 1 FROM past_assignment WHERE order_id = %(order_id)s AND trader_id = %(trader_id)s) AS had
"""


def was_given_back(trader_id: uuid.UUID, order_id: uuid.UUID) -> bool:
    """Whether this trader had the order and lost it: declined, or not paid in time."""
    return bool(hot(_GIVEN_BACK, {"order_id": order_id, "trader_id": trader_id})[0]["had"])
