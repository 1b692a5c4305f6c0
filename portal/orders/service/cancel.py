"""Cancelling an order before anybody has said that money was sent."""

from __future__ import annotations

from copy import copy

from portal.core.actors import Actor
from portal.core.errors import InvalidTransition
from portal.orders.models import Status
from portal.orders.reasons import cancelled_by
from portal.orders.record import OrderRecord
from portal.orders.service.apply import apply
from portal.orders.transitions import Step, find_transition


class PaymentReported(InvalidTransition):
    code, title = "payment_reported", "The receiver says that money came"


def cancel_order(order: OrderRecord, reason: str | None, *, actor: Actor) -> OrderRecord:
    """Cancel a locked order: hold and limits go back. A second time changes nothing.

    Raises InvalidTransition once it was claimed, and for a payout that a trader has accepted; PaymentReported while the
    customer is asked whether they sent another amount.
    """
    if order.status == Status.CANCELLED:
        return order
    if order.status == Status.AWAITING_CONFIRMATION and order.amount_reported_minor is not None:
        raise PaymentReported(
            "The receiver says that another amount came, and the customer is asked whether they sent it. Cancelling"
            " would lose it: wait for the answer, or open a dispute.",
            extra={"order_status": order.status},
        )
    row = find_transition(order.direction, order.status, Step.CANCELLED, actor)
    before = copy(order)
    order.ended_at = order.read_at
    return apply(order, row, actor=actor, reason=reason or cancelled_by(actor), before=before)
