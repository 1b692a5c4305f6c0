"""Why a trader gives an order back, as a list with room for words."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.disputes.models import DisputeReason
from portal.orders.models import Status
from portal.orders.record import OrderRecord

MAX_WORDS = 500

# Nobody has paid yet: the order goes to another requisite.
BEFORE_CLAIM: dict[str, LazyString] = {
    "bank_problem": _l("The bank does not work at the moment"),
    "requisite_limit": _l("The account is at its limit with the bank"),
    "not_available": _l("I can't look after it now"),
    "other": _l("Something else"),
}
# The customer says that they paid: an administrator decides.
AFTER_CLAIM: dict[str, LazyString] = {
    "not_received": _l("The money did not come"),
    "paid_another_amount": _l("Another amount came, and I need help with it"),
    "fake_receipt": _l("The receipt is not genuine"),
    "wrong_requisite": _l("It went to somebody else's requisite"),
    "other": _l("Something else"),
}
OF_PAYOUT: dict[str, LazyString] = {
    "recipient_refused": _l("The bank refuses to pay this recipient"),
    "bank_problem": _l("My bank does not work at the moment"),
    "not_enough_money": _l("I do not have enough money on my accounts"),
    "not_available": _l("I can't look after it now"),
    "other": _l("Something else"),
}
DISPUTE_REASONS = {
    "not_received": DisputeReason.NOT_RECEIVED,
    "paid_another_amount": DisputeReason.PAID_ANOTHER_AMOUNT,
    "fake_receipt": DisputeReason.FAKE_RECEIPT,
    "wrong_requisite": DisputeReason.WRONG_REQUISITE,
    "other": DisputeReason.OTHER,
}


def reasons_for(order: OrderRecord) -> dict[str, LazyString]:
    """The reasons that fit the order as it stands, by code."""
    if not order.is_payin:
        return OF_PAYOUT
    return BEFORE_CLAIM if order.status == Status.AWAITING_PAYMENT else AFTER_CLAIM


class DeclineForm:
    """A reason from the list; words where the list has none."""

    def __init__(self, order: OrderRecord, sent: Mapping[str, str]) -> None:
        self.reason = sent.get("reason", "")
        self.words = " ".join(sent.get("words", "").split())
        self.problem = self._problem(order)

    def _problem(self, order: OrderRecord) -> str:
        if self.reason not in reasons_for(order):
            return _("Choose a reason.")
        if self.reason == "other" and not self.words:
            return _("Say in a few words what is wrong.")
        if len(self.words) > MAX_WORDS:
            return _("Use at most %(count)s characters.", count=MAX_WORDS)
        return ""

    @property
    def reason_and_words(self) -> str:
        return f"{self.reason}: {self.words}" if self.words else self.reason
