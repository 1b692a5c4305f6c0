"""Why something happened to an order: why a case is opened, why a trader gives an order back, why the house acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.disputes.models import DisputeReason
from portal.orders.reasons import HouseReason, parted

DISPUTE_REASON: Mapping[DisputeReason, LazyString] = {
    DisputeReason.NOT_RECEIVED: _l("The money did not come"),
    DisputeReason.PAID_ANOTHER_AMOUNT: _l("Another amount was paid"),
    DisputeReason.PAID_LATE: _l("Paid too late"),
    DisputeReason.NOT_CONFIRMED: _l("Not confirmed in time"),
    DisputeReason.WRONG_REQUISITE: _l("Paid to a wrong requisite"),
    DisputeReason.FAKE_RECEIPT: _l("The receipt is not genuine"),
    DisputeReason.PAYOUT_NOT_RECEIVED: _l("The payout did not arrive"),
    DisputeReason.DUPLICATE: _l("Paid twice"),
    DisputeReason.OTHER: _l("Something else"),
}
# What a trader chooses from, who speaks of their own account ("it went to somebody else's requisite").
# Nobody has paid yet: the order goes to another requisite.
BEFORE_CLAIM: Mapping[str, LazyString] = {
    "bank_problem": _l("The bank does not work at the moment"),
    "requisite_limit": _l("The account is at its limit with the bank"),
    "not_available": _l("I can't look after it now"),
    "other": _l("Something else"),
}
# The customer says that they paid: an administrator decides.
AFTER_CLAIM: Mapping[str, LazyString] = {
    "not_received": _l("The money did not come"),
    "paid_another_amount": _l("Another amount came, and I need help with it"),
    "fake_receipt": _l("The receipt is not genuine"),
    "wrong_requisite": _l("It went to somebody else's requisite"),
    "other": _l("Something else"),
}
OF_PAYOUT: Mapping[str, LazyString] = {
    "recipient_refused": _l("The bank refuses to pay this recipient"),
    "bank_problem": _l("My bank does not work at the moment"),
    "not_enough_money": _l("I do not have enough money on my accounts"),
    "not_available": _l("I can't look after it now"),
    "other": _l("Something else"),
}
# Nothing where the step, or who did it, says as much.
HOUSE_REASON: Mapping[str, LazyString | str] = {
    HouseReason.NOBODY_FREE: _l("Nobody was free"),
    HouseReason.NOT_PAID_IN_TIME: "",
    HouseReason.NOBODY_OBJECTED: _l("Nobody objected in time"),
    HouseReason.DECLINED: _l("Declined"),
    HouseReason.OUTAGE: _l("Nostro was not running"),
    HouseReason.CLOCK_SET_BACK: _l("The server's clock was set back"),
    HouseReason.PAYMENT_PAGE: "",
    HouseReason.BY_CUSTOMER: "",
    HouseReason.BY_MERCHANT: "",
    HouseReason.BY_SUPPORT: "",
    HouseReason.BY_ADMIN: "",
    HouseReason.BY_OPS: "",
}


def dispute_reason_choices() -> Sequence[tuple[str, str]]:
    return [(reason.value, str(words)) for reason, words in DISPUTE_REASON.items()]


def reason_words(reason: str | None, *, with_typed: bool = True) -> str:
    """A reason's code in words, with the words that were typed after it; what has no code stands as it is.

    Without what was typed, what has no code is nothing.
    """
    if not reason:
        return ""
    code, typed = parted(reason)
    known = {**OF_PAYOUT, **AFTER_CLAIM, **BEFORE_CLAIM, **dict(dispute_reason_choices()), **HOUSE_REASON}
    if code not in known:
        return reason if with_typed else ""
    return f"{known[code]}: {typed}" if typed and with_typed else str(known[code])
