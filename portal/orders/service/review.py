"""Orders that risk has set aside wait for a person."""

from __future__ import annotations

from copy import copy
from datetime import timedelta

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.text_rules import reason_of
from portal.orders.reasons import HouseReason
from portal.orders.record import OrderRecord
from portal.orders.service.apply import apply
from portal.orders.service.assign import assign_payin
from portal.orders.transitions import Step, find_transition
from portal.reference import configuration as config


def release_review(order: OrderRecord, reason: str | None = None, *, actor: Actor) -> OrderRecord:
    """Let a locked order go on: it is matched as if it had just been created."""
    row = find_transition(order.direction, order.status, Step.RELEASED, actor)
    before = copy(order)
    order.match_by = order.due_at = order.read_at + timedelta(seconds=config.get(config.MATCH_WINDOW_S))
    released = apply(order, row, actor=actor, reason=reason, before=before)
    if released.is_payin and released.method is not None:
        return assign_payin(released, actor=actor)
    return released


def refuse_review(order: OrderRecord, reason: str | None = None, *, actor: Actor) -> OrderRecord:
    """End a locked order that was set aside; what a payout held goes back.

    The word told is neutral: why is for the audit log alone.
    """
    row = find_transition(order.direction, order.status, Step.REFUSED, actor)
    before = copy(order)
    order.ended_at = order.read_at
    if reason:
        record_audit("review.refused", actor=actor, subject=("order", order.id), reason=reason_of(reason))
    return apply(order, row, actor=actor, reason=HouseReason.DECLINED, before=before)
