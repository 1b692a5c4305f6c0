"""Opening a dispute and deciding it: the case and its order change in one transaction."""

from __future__ import annotations

import uuid

from sqlalchemy import select

from portal.core.actors import SYSTEM, Actor
from portal.core.db import db
from portal.core.errors import NotFound
from portal.core.text_rules import reason_of
from portal.disputes.models import Dispute, DisputeOutcome, DisputeReason
from portal.orders.models import Status
from portal.orders.record import OrderRecord
from portal.orders.service import decide_dispute, mark_disputed


def open_dispute(
    order: OrderRecord,
    reason: DisputeReason,
    words: str | None,
    claimed_minor: int | None,
    *,
    actor: Actor,
) -> OrderRecord:
    """Open a case over a locked order. A second one while it is open changes nothing.

    `claimed_minor` is the fiat amount that the person says was sent or received. Raises InvalidTransition.
    """
    if order.status == Status.DISPUTED:
        return order
    disputed = mark_disputed(order, reason.value, actor=actor, said=words)
    db.session.add(
        Dispute(
            order_id=order.id,
            reason=reason.value,
            words=words,
            claimed_minor=claimed_minor,
            opened_by_kind=actor.kind.value,
            opened_by_id=actor.id,
        )
    )
    db.session.flush()
    return disputed


def open_unconfirmed(order: OrderRecord) -> OrderRecord:
    """What the clock opens when nobody confirmed a claimed payin in time, when silence is not enough to complete a
    payout (by its amount, its proof or what silence completed for its trader already), or when a payin's customer
    did not say whether the amount that the receiver reports is what they sent.
    """
    if order.amount_reported_minor is not None:
        return open_dispute(
            order, DisputeReason.PAID_ANOTHER_AMOUNT, None, order.amount_reported_minor, actor=SYSTEM
        )
    return open_dispute(order, DisputeReason.NOT_CONFIRMED, None, None, actor=SYSTEM)


def find_open_dispute(order_id: uuid.UUID, *, lock: bool = False) -> Dispute | None:
    query = select(Dispute).where(Dispute.order_id == order_id, Dispute.outcome.is_(None))
    return db.session.scalar(query.with_for_update(key_share=True) if lock else query)


def resolve_dispute(
    order: OrderRecord,
    outcome: DisputeOutcome,
    received_minor: int | None,
    reason: str,
    *,
    actor: Actor,
    by_two: bool = False,
) -> OrderRecord:
    """Decide the open case of a locked order: complete it (with what was received) or cancel it.

    Raises NotFound without an open case, Forbidden for anybody but staff, InsufficientFunds, ValidationFailed (reason),
    NeedsSecondPerson unless two have agreed (`by_two`).
    """
    words = reason_of(reason)
    case = find_open_dispute(order.id, lock=True)
    if case is None:
        raise NotFound("There is no open dispute over this order.")
    decided = decide_dispute(
        order,
        completed=outcome is DisputeOutcome.COMPLETED,
        received_minor=received_minor,
        reason=words,
        actor=actor,
        by_two=by_two,
    )
    case.outcome, case.decision_reason = outcome.value, words
    case.decided_by_kind, case.decided_by_id = actor.kind.value, actor.id
    case.decided_at = db.func.clock_timestamp()
    db.session.flush()
    return decided
