"""The kind "dispute_completion": a disputed payin decided with more than its amount and its store's tolerance."""

from __future__ import annotations

from portal.approvals.kinds import Approved
from portal.core.actors import Actor
from portal.core.errors import InvalidTransition
from portal.core.permissions import Permission
from portal.disputes.models import DisputeOutcome
from portal.disputes.service import find_open_dispute, resolve_dispute
from portal.orders.above_tolerance import CompletionPayload, kind_of_completion, refuse_unless_staff
from portal.orders.pricing import price
from portal.orders.queries import get_order
from portal.orders.transitions import Step, find_transition


def _check(payload: CompletionPayload, actor: Actor) -> None:
    refuse_unless_staff(actor)
    order = get_order(payload.order_id)
    find_transition(order.direction, order.status, Step.DECIDED_COMPLETED, actor)
    if not order.is_payin or find_open_dispute(order.id) is None:
        raise InvalidTransition("There is no open dispute over this payin.")
    price(order, payload.received_minor)


def _apply(payload: CompletionPayload, approved: Approved) -> None:
    order = get_order(payload.order_id, lock=True)
    resolve_dispute(
        order,
        DisputeOutcome.COMPLETED,
        payload.received_minor,
        approved.reason,
        actor=approved.actor,
        by_two=True,
    )


DISPUTE_COMPLETION = kind_of_completion("dispute_completion", Permission.DISPUTE_DECIDE, _check, _apply)
