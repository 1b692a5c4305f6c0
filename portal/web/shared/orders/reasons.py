"""Why a trader gives an order back, as a list with room for words."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel.speaklater import LazyString

from portal.core.text_rules import LONGEST_REASON, is_clean, one_line
from portal.orders.models import Status
from portal.orders.reasons import with_words
from portal.orders.record import OrderRecord
from portal.web.labels.reasons import AFTER_CLAIM, BEFORE_CLAIM, OF_PAYOUT

_CODES = (*OF_PAYOUT, *BEFORE_CLAIM, *AFTER_CLAIM)
# Beside the longest code that words can stand with.
LONGEST_WORDS = LONGEST_REASON - max(len(with_words(code, "-")) - 1 for code in _CODES)


def reasons_for(order: OrderRecord) -> Mapping[str, LazyString]:
    """The reasons that fit the order as it stands, by code."""
    if not order.is_payin:
        return OF_PAYOUT
    return BEFORE_CLAIM if order.status == Status.AWAITING_PAYMENT else AFTER_CLAIM


class DeclineForm:
    """A reason from the list; words where the list has none."""

    def __init__(self, order: OrderRecord, sent: Mapping[str, str]) -> None:
        self.reason = sent.get("reason", "")
        self.words = one_line(sent.get("words"))
        self.problem = self._problem(order)

    def _problem(self, order: OrderRecord) -> str:
        if self.reason not in reasons_for(order):
            return _("Choose a reason.")
        if self.reason == "other" and not self.words:
            return _("Say in a few words what is wrong.")
        if len(self.words) > LONGEST_WORDS:
            return _("Use at most %(count)s characters.", count=LONGEST_WORDS)
        if not is_clean(self.words):
            return _("This holds a line break, or a character that can't be seen.")
        return ""
