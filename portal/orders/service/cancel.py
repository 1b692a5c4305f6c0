"""Cancelling an order before anybody has said that money was sent."""

from __future__ import annotations

from copy import copy

from portal.core.actors import Actor
from portal.orders.models import Status
from portal.orders.record import OrderRecord
from portal.orders.service.apply import apply
from portal.orders.transitions import Step, find_transition


def cancel_order(order: OrderRecord, reason: str | None, *, actor: Actor) -> OrderRecord:
    """Cancel a locked order: hold and limits go back. A second time changes nothing.

    Raises InvalidTransition once it was claimed, and for a payout that a trader has accepted.
    """
    if order.status == Status.CANCELLED:
        return order
    row = find_transition(order.direction, order.status, Step.CANCELLED, actor)
    before = copy(order)
    order.ended_at = order.read_at
    return apply(order, row, actor=actor, reason=reason or f"by_{actor.kind.value}", before=before)
