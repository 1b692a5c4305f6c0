"""Why something happened to an order, as it is stored: a code, and perhaps the words of whoever chose it."""

from __future__ import annotations

from enum import StrEnum

from portal.core.actors import Actor


class HouseReason(StrEnum):
    """What the house gives as the reason where nobody has given one."""

    NOBODY_FREE = "nobody_free"
    NOT_PAID_IN_TIME = "not_paid_in_time"
    NOBODY_OBJECTED = "nobody_objected"
    DECLINED = "declined"  # by a rule of risk, or in review: why is for staff alone
    OUTAGE = "outage"
    CLOCK_SET_BACK = "clock_set_back"
    PAYMENT_PAGE = "payment_page"  # where the customer saw the number
    BY_CUSTOMER = "by_customer"  # cancelled without a word, as the others below
    BY_MERCHANT = "by_merchant"
    BY_SUPPORT = "by_support"
    BY_ADMIN = "by_admin"
    BY_OPS = "by_ops"


def cancelled_by(actor: Actor) -> HouseReason:
    """The reason of a cancellation by somebody who may cancel and gives none."""
    return HouseReason(f"by_{actor.kind.value}")


_BETWEEN = ": "


def with_words(code: str, words: str | None) -> str:
    """One line of both; the code alone where nothing was added."""
    return f"{code}{_BETWEEN}{words}" if words else code


def parted(reason: str) -> tuple[str, str]:
    """What with_words() made one: the code, and the words or nothing."""
    code, _, words = reason.partition(_BETWEEN)
    return code, words
