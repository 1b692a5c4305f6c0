"""How an order stands: its pill and its name in lists for staff, traders and shops, and what a trader's queue answers.

The payment page has no words for it: each status is a screen there, with its own sentences (`templates/pay/`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.orders.models import Status
from portal.orders.order_list import OrderLine
from portal.orders.record import OrderRecord

# How an order stands whose receiver said that another amount came, until the customer has answered.
AMOUNT_ASKED = "amount_asked"

STATUS: Mapping[str, tuple[str, LazyString]] = {
    Status.REVIEW: ("yellow", _l("In review")),
    Status.MATCHING: ("azure", _l("Looking for a trader")),
    Status.AWAITING_PAYMENT: ("azure", _l("Waiting for the payment")),
    Status.AWAITING_PAYOUT: ("orange", _l("To be paid")),
    Status.AWAITING_CONFIRMATION: ("orange", _l("To be confirmed")),
    AMOUNT_ASKED: ("azure", _l("Amount to be agreed")),
    Status.DISPUTED: ("red", _l("In dispute")),
    Status.COMPLETED: ("green", _l("Completed")),
    Status.EXPIRED: ("gray", _l("Expired")),
    Status.CANCELLED: ("gray", _l("Cancelled")),
    Status.FAILED: ("gray", _l("Failed")),
}
# After "Nothing was changed:" to a trader who came too late: what became of it, seen from where they stand.
TO_A_LATE_TRADER: Mapping[Status, LazyString] = {
    Status.REVIEW: _l("it is in review"),
    Status.MATCHING: _l("it has gone to others"),
    Status.AWAITING_PAYMENT: _l("it waits for the payment"),
    Status.AWAITING_PAYOUT: _l("somebody else was faster"),
    Status.AWAITING_CONFIRMATION: _l("it waits for confirmation"),
    Status.DISPUTED: _l("it is in dispute"),
    Status.COMPLETED: _l("it is completed"),
    Status.EXPIRED: _l("its time is up"),
    Status.CANCELLED: _l("it was cancelled"),
    Status.FAILED: _l("it has failed"),
}


def shown_status(order: OrderRecord | OrderLine) -> str:
    """Its status as people are told it: who waits for the customer has nothing to confirm."""
    if order.status == Status.AWAITING_CONFIRMATION and order.amount_reported_minor is not None:
        return AMOUNT_ASKED
    return order.status


def status_pill(status: str) -> tuple[str, str]:
    """Colour and words; an unknown status by its own name."""
    colour, words = STATUS.get(status, ("gray", status))
    return colour, str(words)


def status_choices() -> Sequence[tuple[str, str]]:
    """What a list can be narrowed to: AMOUNT_ASKED is told, but not stored."""
    return [(status, str(words)) for status, (_colour, words) in STATUS.items() if status != AMOUNT_ASKED]
