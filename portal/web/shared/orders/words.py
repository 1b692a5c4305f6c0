"""What an order's page calls things: steps, who did them, why, and why no requisite was taken."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.core.actors import ActorKind
from portal.disputes.models import DisputeReason
from portal.ledger.models import AccountKind, EntryKind, OwnerKind
from portal.matching.verdicts import Verdict
from portal.orders.transitions import Step
from portal.web.labels.audit_actions import action_words
from portal.web.shared.orders.reasons import AFTER_CLAIM, BEFORE_CLAIM, OF_PAYOUT

# What happened, and the colour of its mark.
_STEPS: Mapping[str, tuple[LazyString, str]] = {
    Step.CREATED: (_l("Created"), "azure"),
    Step.METHOD_CHOSEN: (_l("The customer chose a method"), "azure"),
    Step.RELEASED: (_l("Let through after review"), "green"),
    Step.REFUSED: (_l("Refused in review"), "gray"),
    Step.MATCHED: (_l("Given to a trader"), "azure"),
    Step.MATCH_RAN_OUT: (_l("Nobody took it in time"), "gray"),
    Step.CLAIMED: (_l("Said to be paid"), "orange"),
    Step.PAY_RAN_OUT: (_l("The time to pay ran out"), "gray"),
    Step.DECLINED: (_l("Taken off its requisite"), "orange"),
    Step.AMOUNT_REPORTED: (_l("Another amount reported, the customer is asked"), "orange"),
    Step.AMOUNT_AGREED: (_l("The customer agreed to the amount"), "green"),
    Step.CONFIRMED: (_l("Confirmed"), "green"),
    Step.CONFIRMED_LATE: (_l("Confirmed late"), "green"),
    Step.CANCELLED: (_l("Cancelled"), "gray"),
    Step.DISPUTED: (_l("Dispute opened"), "red"),
    Step.DECIDED_COMPLETED: (_l("Dispute decided: completed"), "green"),
    Step.DECIDED_CANCELLED: (_l("Dispute decided: cancelled"), "gray"),
    "receipt_added": (_l("Receipt attached"), "azure"),
    "requisite_shown": (_l("The customer saw where to pay"), "azure"),
    "deadline_extended": (_l("More time was given"), "azure"),
    "deadline_corrected": (_l("The deadline was put right"), "azure"),
    "clock_moved": (_l("The test's clock was moved"), "gray"),
}


def step_words(event: str) -> tuple[str, str]:
    """The words of a step, and its colour; the log's own name where there are none."""
    words, colour = _STEPS.get(event, (event, "azure"))
    return str(words), colour


def actor_words(kind: str) -> str:
    known = {
        ActorKind.CUSTOMER: _("Customer"),
        ActorKind.MERCHANT: _("Shop"),
        ActorKind.TRADER: _("Trader"),
        ActorKind.LEAD: _("Team lead"),
        ActorKind.SUPPORT: _("Support"),
        ActorKind.ADMIN: _("Administrator"),
        ActorKind.SYSTEM: _("By itself"),
        ActorKind.OPS: _("Operator"),
    }
    return known.get(ActorKind(kind), kind)


def dispute_reason_choices() -> tuple[tuple[str, str], ...]:
    return (
        (DisputeReason.NOT_RECEIVED.value, _("The money did not come")),
        (DisputeReason.PAID_ANOTHER_AMOUNT.value, _("Another amount was paid")),
        (DisputeReason.PAID_LATE.value, _("Paid too late")),
        (DisputeReason.NOT_CONFIRMED.value, _("Not confirmed in time")),
        (DisputeReason.WRONG_REQUISITE.value, _("Paid to a wrong requisite")),
        (DisputeReason.FAKE_RECEIPT.value, _("The receipt is not genuine")),
        (DisputeReason.PAYOUT_NOT_RECEIVED.value, _("The payout did not arrive")),
        (DisputeReason.DUPLICATE.value, _("Paid twice")),
        (DisputeReason.OTHER.value, _("Something else")),
    )


# The step, or who did it, says as much.
_SAID_BY_STEP = {"payment_page", "not_paid_in_time"}


def reason_words(reason: str | None, *, with_typed: bool = True) -> str:
    """A reason's code in words, with the words that were typed after it; what has no code stands as it is.

    Without what was typed, what has no code is nothing.
    """
    if not reason:
        return ""
    code, _colon, typed = reason.partition(": ")
    known: dict[str, object] = {
        **OF_PAYOUT, **AFTER_CLAIM, **BEFORE_CLAIM, **dict(dispute_reason_choices()),
        "nobody_free": _("Nobody was free"),
        "nobody_objected": _("Nobody objected in time"),
        "declined": _("Declined"),
        "outage": _("Nostro was not running"),
        "clock_set_back": _("The server's clock was set back"),
    }  # fmt: skip
    if reason.startswith("by_") or reason in _SAID_BY_STEP:
        return ""
    if code not in known:
        return reason if with_typed else ""
    return f"{known[code]}: {typed}" if typed and with_typed else str(known[code])


def entry_words(kind: EntryKind) -> str:
    known = {
        EntryKind.PAYIN_MATCHED: _("The trader's deposit was held"),
        EntryKind.PAYIN_COMPLETED: _("The payin was settled"),
        EntryKind.PAYIN_RELEASED: _("The hold was released"),
        EntryKind.PAYOUT_CREATED: _("The store's balance was held"),
        EntryKind.PAYOUT_COMPLETED: _("The payout was settled"),
        EntryKind.PAYOUT_RELEASED: _("The store's hold was released"),
        EntryKind.REVERSAL: _("Reversed"),
        EntryKind.ADJUSTMENT: _("Adjusted"),
    }
    return known.get(kind, kind.value)


def account_words(owner: OwnerKind, kind: AccountKind) -> str:
    owners = {
        OwnerKind.PLATFORM: _("Platform"),
        OwnerKind.STORE: _("Store"),
        OwnerKind.TRADER: _("Trader"),
        OwnerKind.LEAD: _("Team lead"),
        OwnerKind.WORLD: _("Outside world"),
    }
    kinds = {
        AccountKind.AVAILABLE: _("available"),
        AccountKind.HELD: _("on hold"),
        AccountKind.FIAT: _("fiat"),
        AccountKind.REVENUE: _("revenue"),
        AccountKind.ADJUSTMENTS: _("adjustments"),
        AccountKind.SETTLEMENT: _("settlement"),
    }
    return f"{owners[owner]}, {kinds[kind]}"


def fell_words(reason: str) -> str:
    """Why a requisite was not taken: what the search writes down, and what is counted now."""
    known: dict[str, str] = {
        Verdict.NOT_APPROVED: _("not approved"),
        Verdict.SWITCHED_OFF: _("switched off"),
        Verdict.TRADER_NOT_WORKING: _("their trader does not work now"),
        Verdict.BANK: _("of another bank"),
        Verdict.AMOUNT: _("do not take this amount"),
        Verdict.OPEN_ORDERS: _("have as many open orders as they may"),
        Verdict.DAY_AMOUNT: _("over the amount of their day"),
        Verdict.DAY_COUNT: _("over the number of orders of their day"),
        Verdict.WINDOW_AMOUNT: _("over the amount of their time window"),
        Verdict.TOTAL_AMOUNT: _("over their total amount"),
        Verdict.TRADER_EXCLUDED: _("their trader may not serve this store"),
        Verdict.TRADER_NOT_PINNED: _("their trader is not among those chosen for this store"),
        Verdict.HAD_IT_BEFORE: _("had this order before"),
        Verdict.DEPOSIT: _("deposit too low"),
        Verdict.SAME_AMOUNT: _("have an open order of the same amount"),
        Verdict.BUSY: _("were busy with another order at that moment"),
        Verdict.JUST_USED_UP: _("were used up at that moment"),
    }
    return known.get(reason, reason)


def decision_words(decision: str) -> tuple[str, str]:
    """The colour and the words of what risk decided."""
    known = {
        "allow": ("green", _("Let through")),
        "review": ("yellow", _("Set aside for review")),
        "deny": ("red", _("Refused")),
    }
    return known.get(decision, ("gray", decision))


def delivery_pill(state: str) -> tuple[str, str]:
    known = {
        "pending": ("azure", _("On its way")),
        "delivered": ("green", _("Delivered")),
        "dead": ("red", _("Given up")),
    }
    return known.get(state, ("gray", state))


def audit_words(action: str) -> str:
    """What the audit log calls it; steps of an order by the words of its timeline."""
    noun, _dot, verb = action.partition(".")
    known = {
        "webhook_delivery.resent": _("Webhook sent again"),
        "review.refused": _("Refused in review"),
        "order.completed_by_staff": _("Completed by staff"),
    }
    if action in known:
        return known[action]
    if noun == "approval":
        return action_words(action)
    return step_words(verb)[0] if noun == "order" and verb in _STEPS else action
