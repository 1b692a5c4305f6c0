"""An order goes into dispute, and out of it by a decision. The case itself is portal.disputes'."""

from __future__ import annotations

from copy import copy

from portal.core.actors import Actor
from portal.orders.models import Status
from portal.orders.record import OrderRecord
from portal.orders.service.amounts import refuse_above_tolerance
from portal.orders.service.apply import apply
from portal.orders.service.confirm import check_not_too_late, settle
from portal.orders.transitions import Step, find_transition
from portal.reference import configuration as config


def mark_disputed(order: OrderRecord, reason: str, *, actor: Actor, said: str | None = None) -> OrderRecord:
    """Stop the clock of a locked order: only a decision moves it now. Money stays where it is.

    `reason` is the case's, a code; `said` are the person's own words, for the audit log. After its time was up it can be
    reopened for a while, and takes no slot of its requisite. Raises InvalidTransition, Forbidden, TooLate.
    """
    if order.status == Status.DISPUTED:
        return order
    row = find_transition(order.direction, order.status, Step.DISPUTED, actor)
    if order.status == Status.EXPIRED:
        check_not_too_late(order, config.REOPENING_WINDOW_S, actor)
    before = copy(order)
    order.status_before_dispute = before.status
    order.due_at = order.retry_at = order.ended_at = None
    return apply(order, row, actor=actor, reason=reason, said=said, before=before)


def decide_dispute(
    order: OrderRecord,
    *,
    completed: bool,
    received_minor: int | None,
    reason: str,
    actor: Actor,
    by_two: bool = False,
) -> OrderRecord:
    """Complete a locked disputed order (a payin with what was received) or cancel it.

    Raises InvalidTransition, Forbidden, NeedsSecondPerson for more than the order's amount and tolerance, unless two of
    the staff have agreed (`by_two`: portal.disputes.above_tolerance).
    """
    step = Step.DECIDED_COMPLETED if completed else Step.DECIDED_CANCELLED
    row = find_transition(order.direction, order.status, step, actor)
    if completed:
        if order.is_payin and not by_two:
            refuse_above_tolerance(order, received_minor)
        return settle(order, row, received_minor if order.is_payin else None, actor=actor, reason=reason)
    before = copy(order)
    order.ended_at = order.read_at
    return apply(order, row, actor=actor, reason=reason, before=before)
