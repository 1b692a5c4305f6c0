"""A trader gives an order back: to others while nobody can have paid it, to an administrator once somebody may have."""

from __future__ import annotations

from portal.core.actors import Actor
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.orders.models import Status
from portal.orders.reasons import with_words
from portal.orders.record import OrderRecord
from portal.orders.service import decline_payin, decline_payout
from portal.orders.service.decline import ProofAttached

_OF_A_CASE = frozenset(DisputeReason)


def give_order_back(order: OrderRecord, code: str, words: str | None = None, *, actor: Actor) -> OrderRecord:
    """Take a locked order off its trader, for the reason of a `code` and what they add in words.

    A payin that waits for its payment is matched again, a payout without a proof is offered to others. What the customer
    or the trader may have paid already becomes a dispute: the order comes back disputed. Raises InvalidTransition,
    Forbidden, TooLate (an expired payin), ValidationFailed (reason).
    """
    if not order.is_payin:
        return _give_payout_back(order, with_words(code, words), actor)
    if order.status == Status.AWAITING_PAYMENT:
        return decline_payin(order, with_words(code, words), actor=actor)
    about = DisputeReason(code) if code in _OF_A_CASE else DisputeReason.OTHER
    return open_dispute(order, about, words or None, None, actor=actor)


def _give_payout_back(order: OrderRecord, why: str, actor: Actor) -> OrderRecord:
    try:
        return decline_payout(order, why, actor=actor)
    except ProofAttached:
        return open_dispute(order, DisputeReason.OTHER, why, None, actor=actor)
