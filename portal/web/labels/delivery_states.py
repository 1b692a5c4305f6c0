"""How a webhook's delivery stands."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.webhooks.models import DeliveryState

DELIVERY: Mapping[DeliveryState, tuple[str, LazyString]] = {
    DeliveryState.PENDING: ("azure", _l("On its way")),
    DeliveryState.DELIVERED: ("green", _l("Delivered")),
    DeliveryState.DEAD: ("red", _l("Given up")),
}


def delivery_pill(state: str) -> tuple[str, str]:
    colour, words = DELIVERY[DeliveryState(state)]
    return colour, str(words)
