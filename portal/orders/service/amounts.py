"""Another amount than the order's: who may complete with it, and what happens where nobody may alone."""

from __future__ import annotations

from copy import copy
from datetime import timedelta

from portal.core.actors import Actor, ActorKind
from portal.core.db import after_commit
from portal.core.errors import Conflict, InvalidTransition
from portal.core.money import BPS, format_amount, settlement_minor
from portal.core.observability import metrics
from portal.merchants.tolerance import tolerance_of
from portal.orders.pricing import price
from portal.orders.record import OrderRecord
from portal.orders.service.apply import apply
from portal.orders.shortfalls import is_one_left
from portal.orders.transitions import Step, find_transition
from portal.reference import configuration as config
from portal.reference.queries import get_currency


class NeedsSecondPerson(Conflict):
    code, title = "needs_second_person", "Nobody completes an order above its amount alone"


class OutsideTolerance(Conflict):
    code, title = "outside_tolerance", "This amount is further from the order's than the shop allows"


class AmountCorrected(Conflict):
    code, title = "amount_corrected", "The receiver has corrected the amount"


def is_within_tolerance(order: OrderRecord, received_minor: int) -> bool:
    """Whether what was received is as near to the order's amount as its store allows. Reads the store's row."""
    if received_minor == order.amount_minor:
        return True
    difference = abs(received_minor - order.amount_minor)
    return tolerance_of(order.store_id).holds(order.amount_minor, difference, _worth(order, difference))


def most_alone_minor(order: OrderRecord) -> int:
    """The largest fiat amount that staff complete a payin with alone: the order's and its store's tolerance."""
    tolerance = tolerance_of(order.store_id)
    low, high = 0, order.amount_minor * tolerance.bps // BPS
    while low < high:  # what a difference is worth grows with it
        middle = (low + high + 1) // 2
        if tolerance.holds(order.amount_minor, middle, _worth(order, middle)):
            low = middle
        else:
            high = middle - 1
    return order.amount_minor + low


def is_enough_alone(order: OrderRecord, received_minor: int, *, actor: Actor) -> bool:
    """Whether a receiver's word is enough to complete a locked payin with this amount.

    It is within the tolerance, and a trader has not used up their day's shortfalls yet: small ones, taken from every
    payin, would add up. Locks the trader's shortfalls until the end of the transaction.
    """
    if not is_within_tolerance(order, received_minor):
        return False
    if received_minor >= order.amount_minor or actor.kind is not ActorKind.TRADER:
        return True
    assert order.trader_id is not None
    return is_one_left(order.trader_id, order.read_at)


def count_shortfall(order: OrderRecord, received_minor: int) -> None:
    """Count what a payin, completed on the trader's word alone, was short of, once that is committed."""
    missing = order.amount_minor - received_minor
    if missing > 0:
        mode, currency, worth = order.mode, order.settlement_currency, _worth(order, missing)
        after_commit(lambda: metrics.shortfalls.labels(mode).inc())
        after_commit(lambda: metrics.shortfalls_minor.labels(mode, currency).inc(worth))


def _worth(order: OrderRecord, difference_minor: int) -> int:
    """Settlement minor units of a part of the order's amount, at its rate."""
    return settlement_minor(
        difference_minor, get_currency(order.currency).exponent,
        get_currency(order.settlement_currency).exponent, order.rate_micros,
    )  # fmt: skip


def takes_two(order: OrderRecord, received_minor: int) -> bool:
    """Whether one of the staff may not complete a payin with this alone: above its amount and its store's tolerance."""
    return received_minor > order.amount_minor and not is_within_tolerance(order, received_minor)


def refuse_above_tolerance(order: OrderRecord, received_minor: int | None) -> None:
    """Raises NeedsSecondPerson for what takes two; None is the order's own amount."""
    if received_minor is not None and takes_two(order, received_minor):
        raise NeedsSecondPerson(
            "This is more than the order's amount and the shop's tolerance: nobody completes it alone."
        )


def report_amount(order: OrderRecord, received_minor: int, *, actor: Actor) -> OrderRecord:
    """The receiver of a locked payin says that another amount came: the customer is asked, nothing is settled.

    The latest report counts. The first one starts the customer's time; a correction gives no more of it.
    The same again changes nothing. Raises InvalidTransition, and ValidationFailed for an amount that can't be settled.
    """
    price(order, received_minor)  # nobody is asked to agree to what then can't be done
    row = find_transition(order.direction, order.status, Step.AMOUNT_REPORTED, actor)
    if order.amount_reported_minor == received_minor:
        return order
    before = copy(order)
    if order.amount_reported_minor is None:
        window = timedelta(seconds=config.get(config.AMOUNT_AGREEMENT_WINDOW_S))
        order.confirm_by = order.due_at = order.read_at + window
    order.amount_reported_minor = received_minor
    said = f"{format_amount(received_minor, get_currency(order.currency).exponent)} {order.currency}"
    return apply(order, row, actor=actor, reason=said, before=before)


def check_agreed(order: OrderRecord, agreed_minor: int) -> None:
    """Only to what the receiver reports now can be agreed. Raises AmountCorrected, InvalidTransition."""
    if order.amount_reported_minor is None:
        raise InvalidTransition("No other amount waits for an answer.", extra={"order_status": order.status})
    if order.amount_reported_minor != agreed_minor:
        raise AmountCorrected("Look at the amount again: it is another one now.")
