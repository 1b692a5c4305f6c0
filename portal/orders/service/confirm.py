"""The receiving side says that the money came: everybody is paid in one entry."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import timedelta

from portal.core.actors import Actor, ActorKind
from portal.core.db import run_in_one_statement, run_in_transaction
from portal.core.errors import Conflict, InvalidTransition, ValidationFailed
from portal.core.money import MAX_MINOR
from portal.orders.accounts import meet_accounts
from portal.orders.models import BEING_PAID, Status
from portal.orders.pricing import price
from portal.orders.record import OrderRecord
from portal.orders.service.amounts import (
    OutsideTolerance,
    check_agreed,
    count_shortfall,
    is_enough_alone,
    refuse_above_tolerance,
    report_amount,
)
from portal.orders.service.apply import apply
from portal.orders.transitions import Step, Transition, find_transition
from portal.reference import configuration as config
from portal.reference.setting import Setting


class TooLate(Conflict):
    code, title = "too_late", "This order expired too long ago"


class AlreadyCompleted(Conflict):
    code, title = "invalid_transition", "This order is completed with another amount"


def confirm_payin(
    order: OrderRecord,
    received_minor: int | None,
    *,
    actor: Actor,
    reason: str | None = None,
    by_two: bool = False,
) -> OrderRecord:
    """Complete a locked payin with what was received (fiat minor units; None: the order's amount).

    From `expired` it is a late completion: the hold is taken anew, if the deposit covers it. The same
    confirmation again changes nothing. Outside the store's tolerance, and below the amount beyond a trader's number of
    a day, a trader's word settles nothing: the customer is asked (the order comes back in awaiting_confirmation with `amount_reported_minor`). Raises InvalidTransition,
    InsufficientFunds, TooLate, OutsideTolerance (late), NeedsSecondPerson (staff, above), ValidationFailed for an
    amount. `by_two`: two of the staff have agreed (portal.orders.above_tolerance), so above is no refusal.
    """
    received = _checked(received_minor)
    if order.status == Status.COMPLETED:
        if received is None or received == order.actual_minor:
            return order
        raise AlreadyCompleted()
    row = find_completion(order, actor)
    if actor.is_staff:
        if not by_two:
            refuse_above_tolerance(order, received)
    elif received is not None and received != order.amount_minor:
        if not is_enough_alone(order, received, actor=actor):
            if row.step is Step.CONFIRMED_LATE:
                raise OutsideTolerance(
                    "The order's time was up: open a dispute, and an administrator decides about this amount."
                )
            return report_amount(order, received, actor=actor)
        count_shortfall(order, received)
    return settle(order, row, received, actor=actor, reason=reason)


def find_completion(order: OrderRecord, actor: Actor) -> Transition:
    """The transition that completes a payin as it stands. Raises InvalidTransition, Forbidden, TooLate."""
    step = Step.CONFIRMED_LATE if order.status == Status.EXPIRED else Step.CONFIRMED
    row = find_transition(order.direction, order.status, step, actor)
    if step is Step.CONFIRMED_LATE:
        check_not_too_late(order, config.LATE_COMPLETION_WINDOW_S, actor)
    return row


def agree_to_amount(order: OrderRecord, agreed_minor: int, *, actor: Actor) -> OrderRecord:
    """The customer of a locked payin says that they sent what the receiver reports: it is completed with that.

    `agreed_minor` (fiat) is what they saw. The same again changes nothing. Raises InvalidTransition, Forbidden,
    AmountCorrected when another amount is reported now, InsufficientFunds when the deposit does not cover more.
    """
    if order.status == Status.COMPLETED and order.actual_minor == agreed_minor:
        return order
    row = find_transition(order.direction, order.status, Step.AMOUNT_AGREED, actor)
    check_agreed(order, agreed_minor)
    return settle(order, row, agreed_minor, actor=actor)


def confirm_payin_at_once(
    read: Callable[..., OrderRecord], received_minor: int | None, *, actor: Actor
) -> OrderRecord:
    """confirm_payin() as a transaction of its own. `read` reads the order, with `lock=True` locking its row.

    A locked payin is confirmed by a single statement, which takes the row lock itself and changes nothing unless
    the row still has the version that was read; if it has not, or more is to be done, the row is locked first.
    Raises what `read` and confirm_payin() raise. Not inside transaction().
    """
    order = read()
    is_plain = received_minor is None or received_minor == order.amount_minor
    if is_plain and order.status in BEING_PAID and order.is_payin and actor.kind is ActorKind.TRADER:
        meet_accounts(order)
        try:
            return run_in_one_statement(lambda: confirm_payin(copy(order), received_minor, actor=actor))
        except InvalidTransition:
            pass  # somebody was faster: what to do depends on what they did
    return run_in_transaction(lambda: confirm_payin(read(lock=True), received_minor, actor=actor))


def _checked(received_minor: int | None) -> int | None:
    if received_minor is not None and not 0 < received_minor <= MAX_MINOR:
        raise ValidationFailed.of("amount", "out_of_range", "Give the amount that was received.")
    return received_minor


def check_not_too_late(order: OrderRecord, window: Setting[int], actor: Actor) -> None:
    """An expired order comes back to life for a while only: `window` seconds, for staff their own. Raises TooLate."""
    allowed = config.REOPENING_BY_STAFF_WINDOW_S if actor.is_staff else window
    limit = timedelta(seconds=config.get(allowed))
    if order.ended_at is not None and order.read_at - order.ended_at > limit:
        said = "" if actor.is_staff else " An administrator may still be able to help."
        raise TooLate(f"This order expired too long ago.{said}")


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
