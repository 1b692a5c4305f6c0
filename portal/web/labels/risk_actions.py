"""What risk decided about an order."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.risk.models import RiskAction

RISK_ACTION: Mapping[RiskAction, tuple[str, LazyString]] = {
    RiskAction.ALLOW: ("green", _l("Let through")),
    RiskAction.REVIEW: ("yellow", _l("Set aside for review")),
    RiskAction.DENY: ("red", _l("Refused")),
}


def risk_pill(action: str) -> tuple[str, str]:
    colour, words = RISK_ACTION[RiskAction(action)]
    return colour, str(words)
