"""How a requisite stands. A list can be narrowed to one state more than is stored: ready now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.traders.models import RequisiteStatus
from portal.traders.requisite_list import RequisiteState, Used

REQUISITE: Mapping[RequisiteState, tuple[str, LazyString]] = {
    RequisiteState.PENDING: ("orange", _l("Waits for approval")),
    RequisiteState.ONLINE: ("green", _l("Ready now")),
    RequisiteState.APPROVED: ("gray", _l("Approved")),
    RequisiteState.SUSPENDED: ("red", _l("Suspended")),
    RequisiteState.REJECTED: ("red", _l("Declined")),
    RequisiteState.ARCHIVED: ("gray", _l("Archived")),
}
# How much of the limit that is fullest is used.
USED: Mapping[Used, LazyString] = {
    Used.NEARLY: _l("Four fifths of a limit and more"),
    Used.UP: _l("A limit is used up"),
}


class HasStatus(Protocol):
    @property
    def status(self) -> str: ...


def state_pill(requisite: HasStatus) -> tuple[str, str]:
    """Colour and words; ready is said where it takes a payin now."""
    is_ready = getattr(requisite, "is_online", False) or getattr(requisite, "can_take_payin", False)
    state = RequisiteState.ONLINE if is_ready else RequisiteState(RequisiteStatus(requisite.status).value)
    colour, words = REQUISITE[state]
    return colour, str(words)


def state_choices() -> Sequence[tuple[str, str]]:
    return [(state.value, str(words)) for state, (_colour, words) in REQUISITE.items()]


def used_choices() -> Sequence[tuple[str, str]]:
    return [(used.value, str(words)) for used, words in USED.items()]
