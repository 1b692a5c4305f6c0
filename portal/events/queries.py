"""Reading what happened."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.db import hot

_ORDERS = """
SELECT id, type, store_id, trader_id, subject_id AS order_id, data->>'direction' AS direction,
       data->>'amount' AS amount, data->>'currency' AS currency
FROM event
WHERE id = ANY(%(ids)s::uuid[]) AND subject_kind = 'order' AND data->>'amount' IS NOT NULL
ORDER BY created_at, id
"""


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """What an event says of its order. `amount` in plain decimal digits of `currency`."""

    id: uuid.UUID
    type: str
    store_id: uuid.UUID
    trader_id: uuid.UUID | None
    order_id: uuid.UUID
    direction: str
    amount: str
    currency: str


def list_order_events(event_ids: Sequence[uuid.UUID]) -> list[OrderEvent]:
    """Those of these events that are about orders, as the order was then."""
    return [OrderEvent(**row) for row in hot(_ORDERS, {"ids": list(event_ids)})]


_OVERDUE = """
SELECT greatest(extract(epoch FROM clock_timestamp() - min(next_at)), 0)::float8 AS late_s
FROM event WHERE state = 'pending'
"""


def outbox_overdue_s() -> float:
    """For how long the outbox has left undone what is due, 0 when nothing is.

    An event that failed and waits for its next try is not late, however old it is.
    """
    return float(hot(_OVERDUE)[0]["late_s"] or 0)


_WAITING = "SELECT count(*) AS events FROM event WHERE state = 'pending'"


def count_waiting_events() -> int:
    """How many events wait to be handed on, those that wait for another try among them."""
    return int(hot(_WAITING)[0]["events"])
