"""Letting time pass for one order in test mode: its deadlines move, nobody else's."""

from __future__ import annotations

from datetime import timedelta

from portal.core.actors import Actor
from portal.core.db import hot
from portal.core.errors import Forbidden
from portal.core.modes import Mode
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.transitions import Note

_MOVE = f"""
WITH moved AS (
  UPDATE orders SET version = version + 1, updated_at = now(), due_at = due_at - %(by)s,
         match_by = match_by - %(by)s, pay_by = pay_by - %(by)s, confirm_by = confirm_by - %(by)s,
         retry_at = retry_at - %(by)s, window_leaves_at = window_leaves_at - %(by)s
   WHERE id = %(id)s AND mode = 'test'
  RETURNING id, status
)
INSERT INTO order_event (order_id, event, from_status, to_status, actor_kind, actor_id, reason)
SELECT id, '{Note.CLOCK_MOVED.value}', status, status, %(actor_kind)s, %(actor_id)s, %(reason)s FROM moved
"""  # noqa: S608 - a constant of this house


def move_clock(order: OrderRecord, seconds: int, *, actor: Actor) -> OrderRecord:
    """Bring every deadline of a locked test order nearer by so many seconds. Raises Forbidden for a live one.

    Nothing else happens yet: what is due now is acted on by whoever looks next.
    """
    if order.mode != Mode.TEST:
        raise Forbidden("Only a test order's clock can be moved.")
    hot(
        _MOVE,
        {
            "id": order.id, "by": timedelta(seconds=seconds), "actor_kind": actor.kind.value,
            "actor_id": actor.id, "reason": f"{seconds} s",
        },
    )  # fmt: skip
    return get_order(order.id, lock=True)
