"""How a request for a second person stands."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.approvals.models import ApprovalState

APPROVAL: Mapping[ApprovalState, tuple[str, LazyString]] = {
    ApprovalState.WAITING: ("orange", _l("Waits")),
    ApprovalState.APPROVED: ("green", _l("Approved")),
    ApprovalState.REFUSED: ("red", _l("Refused")),
    ApprovalState.WITHDRAWN: ("gray", _l("Withdrawn")),
    ApprovalState.EXPIRED: ("gray", _l("Expired")),
    ApprovalState.STALE: ("gray", _l("Out of date")),
}


def state_pill(state: str) -> tuple[str, str]:
    colour, words = APPROVAL[ApprovalState(state)]
    return colour, str(words)
