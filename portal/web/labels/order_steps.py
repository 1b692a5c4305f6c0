"""What happened to an order, as its timeline and the audit log's part of its page tell it."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.orders.transitions import Note, Step

# What happened, and the colour of its mark.
STEP: Mapping[str, tuple[LazyString, str]] = {
    Step.CREATED: (_l("Created"), "azure"),
    Step.RELEASED: (_l("Let through after review"), "green"),
    Step.REFUSED: (_l("Refused in review"), "gray"),
    Step.MATCHED: (_l("Given to a trader"), "azure"),
    Step.MATCH_RAN_OUT: (_l("Nobody took it in time"), "gray"),
    Step.CLAIMED: (_l("Said to be paid"), "orange"),
    Step.PAY_RAN_OUT: (_l("The time to pay ran out"), "gray"),
    Step.DECLINED: (_l("Taken off its requisite"), "orange"),
    Step.AMOUNT_REPORTED: (_l("Another amount reported, the customer is asked"), "orange"),
    Step.AMOUNT_AGREED: (_l("The customer agreed to the amount"), "green"),
    Step.CONFIRMED: (_l("Confirmed"), "green"),
    Step.CONFIRMED_LATE: (_l("Confirmed late"), "green"),
    Step.CANCELLED: (_l("Cancelled"), "gray"),
    Step.DISPUTED: (_l("Dispute opened"), "red"),
    Step.DECIDED_COMPLETED: (_l("Dispute decided: completed"), "green"),
    Step.DECIDED_CANCELLED: (_l("Dispute decided: cancelled"), "gray"),
}
NOTE: Mapping[str, tuple[LazyString, str]] = {
    Note.METHOD_CHOSEN: (_l("The customer chose a method"), "azure"),
    Note.RECEIPT_ADDED: (_l("Receipt attached"), "azure"),
    Note.REQUISITE_SHOWN: (_l("The customer saw where to pay"), "azure"),
    Note.DEADLINE_EXTENDED: (_l("More time was given"), "azure"),
    Note.DEADLINE_CORRECTED: (_l("The deadline was put right"), "azure"),
    Note.CLOCK_MOVED: (_l("The test's clock was moved"), "gray"),
}


def step_words(event: str) -> tuple[str, str]:
    """The words of a step or a note, and its colour; the log's own name where there are none."""
    words, colour = STEP.get(event) or NOTE.get(event, (event, "azure"))
    return str(words), colour
