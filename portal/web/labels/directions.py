"""Which way an order's money goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.orders.models import Direction

DIRECTION: Mapping[Direction, LazyString] = {Direction.PAYIN: _l("Payin"), Direction.PAYOUT: _l("Payout")}


def direction_words(direction: str) -> str:
    return str(DIRECTION[Direction(direction)])


def direction_choices() -> Sequence[tuple[str, str]]:
    return [(direction.value, str(words)) for direction, words in DIRECTION.items()]
