"""The receiving side says that the money came: everybody is paid in one entry."""

from __future__ import annotations

from copy import copy
from datetime import timedelta

from portal.core.actors import Actor
from portal.core.errors import Conflict, ValidationFailed
from portal.core.money import MAX_MINOR
from portal.orders.models import Status
from portal.orders.pricing import price
from portal.orders.record import OrderRecord
from portal.orders.service.apply import apply
from portal.orders.transitions import Step, Transition, find_transition
from portal.reference import configuration as config


class TooLate(Conflict):
    code, title = "too_late", "This order expired too long ago"


class AlreadyCompleted(Conflict):
    code, title = "invalid_transition", "This order is completed with another amount"


def confirm_payin(order: OrderRecord, received_minor: int | None, *, actor: Actor) -> OrderRecord:
    """Complete a locked payin with what was received (fiat minor units; None: the order's amount).

    From `expired` it is a late completion: the hold is taken anew, if the deposit covers it. The same
    confirmation again changes nothing. Raises InvalidTransition, InsufficientFunds, TooLate,
    ValidationFailed for an amount.
    """
    received = _checked(received_minor)
    if order.status == Status.COMPLETED:
        if received is None or received == order.actual_minor:
            return order
        raise AlreadyCompleted()
    step = Step.CONFIRMED_LATE if order.status == Status.EXPIRED else Step.CONFIRMED
    row = find_transition(order.direction, order.status, step, actor)
    if step is Step.CONFIRMED_LATE:
        _check_not_too_late(order, actor)
    return settle(order, row, received, actor=actor)


def _checked(received_minor: int | None) -> int | None:
    if received_minor is not None and not 0 < received_minor <= MAX_MINOR:
        raise ValidationFailed.of("amount", "out_of_range", "Give the amount that was received.")
    return received_minor


def _check_not_too_late(order: OrderRecord, actor: Actor) -> None:
    """A trader completes late ones themselves for a while; staff may always."""
    limit = timedelta(seconds=config.get(config.LATE_COMPLETION_WINDOW_S))
    if not actor.is_staff and order.ended_at is not None and order.read_at - order.ended_at > limit:
        raise TooLate("This order expired too long ago. Support can still complete it.")


def settle(
    order: OrderRecord,
    row: Transition,
    received_minor: int | None,
    *,
    actor: Actor,
    reason: str | None = None,
) -> OrderRecord:
    """Carry out a completing transition: price anew for another amount, pay everybody, end the order."""
    before = copy(order)
    differs = received_minor is not None and received_minor != order.amount_minor
    split = price(order, received_minor)
    if order.is_payin:
        order.amount_received_minor = received_minor if differs else order.amount_minor
        order.settlement_minor, order.fee_minor = split.settlement_minor, split.store_fee_minor
    order.ended_at = order.read_at
    extra = ("order.amount_changed",) if differs else ()
    return apply(order, row, actor=actor, reason=reason, split=split, extra_events=extra, before=before)


def confirm_payout(order: OrderRecord, *, actor: Actor, reason: str | None = None) -> OrderRecord:
    """The merchant, support, or the quiet period confirms a locked payout. A second time changes nothing."""
    if order.status == Status.COMPLETED:
        return order
    row = find_transition(order.direction, order.status, Step.CONFIRMED, actor)
    return settle(order, row, None, actor=actor, reason=reason)
