"""What counting an event needs to know of its order: no people."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.db import hot

_OF_ORDERS = """
SELECT id, mode, direction, coalesce(method, 'none') AS method, currency, amount_minor,
       coalesce(amount_received_minor, amount_minor) AS received_minor,
       extract(epoch FROM assigned_at - created_at)::float8 AS waited_s, round,
       CASE WHEN requisite_id IS NULL THEN match_trace->'fell' END AS fell
FROM orders WHERE id = ANY(%(ids)s::uuid[])
"""


@dataclass(frozen=True, slots=True)
class OrderFigures:
    """One order. Amounts in minor units of `currency`; `fell` counts the requisites its search turned away."""

    id: uuid.UUID
    mode: str
    direction: str
    method: str
    currency: str
    amount_minor: int
    received_minor: int
    waited_s: float | None
    round: int
    fell: dict[str, int] | None


def figures_of(order_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, OrderFigures]:
    """Those of these orders that exist."""
    return {row["id"]: OrderFigures(**row) for row in hot(_OF_ORDERS, {"ids": list(order_ids)})}
