"""A trader gives an order back: it is matched again, never to the same requisite."""

from __future__ import annotations

from copy import copy
from datetime import timedelta

from portal.core.actors import SYSTEM, Actor
from portal.core.db import hot
from portal.core.errors import Conflict
from portal.core.text_rules import reason_of
from portal.orders.evidence import has_proof
from portal.orders.record import OrderRecord
from portal.orders.service.apply import apply
from portal.orders.service.assign import assign_payin, take_requisite_away
from portal.orders.transitions import Step, Transition, find_transition
from portal.reference import configuration as config

_REMEMBER = """
INSERT INTO past_assignment (order_id, requisite_id, trader_id, assigned_at, reason)
VALUES (%(order_id)s, %(requisite_id)s, %(trader_id)s, %(assigned_at)s, %(reason)s)
ON CONFLICT (order_id, requisite_id) DO NOTHING
"""


class ProofAttached(Conflict):
    code, title = "proof_attached", "There is a proof that this payout was paid"


def decline_payin(order: OrderRecord, reason: str, *, actor: Actor) -> OrderRecord:
    """Take a locked payin off its requisite before a claim and look for another one at once.

    Hold and limits go back. Raises InvalidTransition once the customer has said that they paid: then it is
    a dispute.
    """
    row = find_transition(order.direction, order.status, Step.DECLINED, actor)
    return assign_payin(back_to_matching(order, row, reason, actor=actor), actor=_matcher(actor))


def decline_payout(order: OrderRecord, reason: str, *, actor: Actor) -> OrderRecord:
    """Give a locked payout back before it was paid: it is offered to the other traders.

    Raises ProofAttached once there is a proof that it was paid, whoever asks: another trader would pay a second time.
    """
    row = find_transition(order.direction, order.status, Step.DECLINED, actor)
    if has_proof(order):
        raise ProofAttached("There is a proof that this payout was paid. Open a dispute instead.")
    return back_to_matching(order, row, reason, actor=actor)


def back_to_matching(order: OrderRecord, row: Transition, reason: str, *, actor: Actor) -> OrderRecord:
    """The order has no requisite any more and waits for the next one, for a whole matching window."""
    words = reason_of(reason)
    hot(
        _REMEMBER,
        {
            "order_id": order.id, "requisite_id": order.requisite_id, "trader_id": order.trader_id,
            "assigned_at": order.assigned_at, "reason": words,
        },
    )  # fmt: skip
    before = copy(order)
    now = order.read_at
    take_requisite_away(order)
    order.match_by = order.due_at = now + timedelta(seconds=config.get(config.MATCH_WINDOW_S))
    order.retry_at = now if order.is_payin else None
    return apply(order, row, actor=actor, reason=words, before=before)


def _matcher(actor: Actor) -> Actor:
    """Matching again is the system's doing, except where staff do it."""
    return actor if actor.is_staff else SYSTEM
