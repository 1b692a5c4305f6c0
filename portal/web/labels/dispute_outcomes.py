"""How a case ends: as a pill beside it, and as what its decider chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.disputes.models import DisputeOutcome

DISPUTE_OUTCOME: Mapping[DisputeOutcome, tuple[str, LazyString]] = {
    DisputeOutcome.COMPLETED: ("green", _l("Completed")),
    DisputeOutcome.CANCELLED: ("gray", _l("Cancelled")),
}
# With what it follows from.
DECISION: Mapping[DisputeOutcome, LazyString] = {
    DisputeOutcome.COMPLETED: _l("The money came: complete the order"),
    DisputeOutcome.CANCELLED: _l("The money did not come: cancel the order"),
}


def dispute_outcome_pill(outcome: str) -> tuple[str, str]:
    colour, words = DISPUTE_OUTCOME[DisputeOutcome(outcome)]
    return colour, str(words)


def decision_choices() -> Sequence[tuple[str, str]]:
    return [(outcome.value, str(words)) for outcome, words in DECISION.items()]
