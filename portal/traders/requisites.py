"""A requisite's life: handed in by its trader, decided about by somebody else, changed, switched, archived.

Where money goes (number, holder, bank) is seen by a second person before it receives any: the number is never
changed, another holder or bank waits for approval anew. Limits are the trader's own.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import asdict, dataclass
from enum import StrEnum

from sqlalchemy import select

from portal.audit.service import record_audit
from portal.core.actors import Actor, ActorKind
from portal.core.db import after_commit, db
from portal.core.errors import Conflict, Forbidden, NotFound, ValidationFailed
from portal.core.jobs import enqueue_job
from portal.core.text_rules import reason_of
from portal.reference.queries import list_banks
from portal.traders.models import Requisite, RequisiteStatus
from portal.traders.queries import get_trader
from portal.traders.service import NewRequisite, add_requisite, check_limits, refresh_readiness

MOST = 200


class RequisiteDecision(StrEnum):
    """What may be decided about a requisite."""

    APPROVE = "approve"
    DECLINE = "decline"
    SUSPEND = "suspend"
    RESUME = "resume"


_AFTER = {
    (RequisiteStatus.PENDING, RequisiteDecision.APPROVE): (RequisiteStatus.APPROVED, "requisite.approved"),
    (RequisiteStatus.PENDING, RequisiteDecision.DECLINE): (RequisiteStatus.REJECTED, "requisite.declined"),
    (RequisiteStatus.APPROVED, RequisiteDecision.SUSPEND): (RequisiteStatus.SUSPENDED, "requisite.suspended"),
    (RequisiteStatus.SUSPENDED, RequisiteDecision.RESUME): (RequisiteStatus.APPROVED, "requisite.resumed"),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a trader may change of a requisite. Amounts are minor units of its currency; None is no limit."""

    holder: str
    bank: str | None
    min_amount: int
    max_amount: int
    max_open_orders: int
    day_amount_limit: int | None = None
    day_count_limit: int | None = None
    window_s: int | None = None
    window_amount_limit: int | None = None
    total_amount_limit: int | None = None


def decisions_for(status: str) -> list[RequisiteDecision]:
    """What can be decided about a requisite in this state."""
    return [decision for (state, decision) in _AFTER if state == status]


def seal_of(requisite: Requisite) -> str:
    """What a decision is about, as a fingerprint: number, holder, bank and state as the decider saw them."""
    seen = (requisite.number_index.hex(), requisite.holder, requisite.bank, requisite.status)
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:32]


def own_requisite(trader_id: uuid.UUID, requisite_id: uuid.UUID, *, lock: bool = False) -> Requisite:
    """A requisite of this trader that is not archived. Raises NotFound for a stranger's."""
    requisite = _get(requisite_id, lock=lock)
    if requisite.trader_id != trader_id or requisite.status == RequisiteStatus.ARCHIVED:
        raise NotFound("There is no such requisite.")
    return requisite


def submit_requisite(
    trader_id: uuid.UUID, new: NewRequisite, *, user_id: uuid.UUID, actor: Actor
) -> Requisite:
    """Hand a requisite in; somebody else approves it. Raises as `add_requisite`, Conflict `too_many_requisites`."""
    held = select(db.func.count()).where(
        Requisite.trader_id == trader_id, Requisite.status != RequisiteStatus.ARCHIVED
    )
    if (db.session.scalar(held) or 0) >= MOST:
        raise Conflict("Archive a requisite before you add another one.", code="too_many_requisites")
    _check_holder(new.holder)
    _check_bank(new.method, new.currency, new.bank)
    return add_requisite(trader_id, new, actor=actor, submitted_by=user_id)


def change_requisite(
    trader_id: uuid.UUID, requisite_id: uuid.UUID, terms: Terms, *, user_id: uuid.UUID, actor: Actor
) -> Requisite:
    """Change limits at once; another holder or bank takes the requisite out until it is approved anew.

    Locks the requisite. Raises NotFound, ValidationFailed, Conflict `requisite_rejected`. Needs transaction().
    """
    requisite = own_requisite(trader_id, requisite_id, lock=True)
    if requisite.status == RequisiteStatus.REJECTED:
        raise Conflict("A declined requisite is not changed: add it anew.", code="requisite_rejected")
    _check_holder(terms.holder)
    _check_bank(requisite.method, requisite.currency, terms.bank)
    check_limits(terms)
    after = asdict(terms) | {"holder": terms.holder.strip()}
    before = {name: getattr(requisite, name) for name in after}
    if before == after:
        return requisite
    if any(before[name] != after[name] for name in ("holder", "bank")):
        before["status"], after["status"] = requisite.status, RequisiteStatus.PENDING.value
        requisite.submitted_by = user_id
        requisite.decided_by = requisite.decided_at = requisite.decision_reason = None
    for name, value in after.items():
        setattr(requisite, name, value)
    db.session.flush()
    record_audit(
        "requisite.changed", actor=actor, subject=("requisite", requisite_id), before=before, after=after
    )
    after_commit(_look_again)
    return requisite


def switch_own(
    trader_id: uuid.UUID, requisite_id: uuid.UUID, *, payin_on: bool, payout_on: bool, actor: Actor
) -> None:
    """What the trader wants this requisite to do. Locks it. Raises NotFound. Needs transaction()."""
    requisite = own_requisite(trader_id, requisite_id, lock=True)
    before = {"payin_on": requisite.payin_on, "payout_on": requisite.payout_on}
    after = {"payin_on": payin_on, "payout_on": payout_on}
    if before == after:
        return
    requisite.payin_on, requisite.payout_on = payin_on, payout_on
    db.session.flush()
    record_audit(
        "requisite.switched", actor=actor, subject=("requisite", requisite_id), before=before, after=after
    )
    if payin_on:
        after_commit(_look_again)


def archive_requisite(trader_id: uuid.UUID, requisite_id: uuid.UUID, *, actor: Actor) -> None:
    """Take it out for good; its number may be added anew. Locks it. Needs transaction().

    Raises NotFound, Conflict `requisite_busy` while orders run on it.
    """
    requisite = own_requisite(trader_id, requisite_id, lock=True)
    if requisite.open_orders:
        raise Conflict(
            "Orders run on this requisite. Switch it off and wait for them.", code="requisite_busy"
        )
    before = {"status": requisite.status}
    requisite.status = RequisiteStatus.ARCHIVED.value
    requisite.payin_on = requisite.payout_on = False
    db.session.flush()
    after = {"status": requisite.status}
    record_audit(
        "requisite.archived", actor=actor, subject=("requisite", requisite_id), before=before, after=after
    )


def decide_requisite(
    requisite_id: uuid.UUID, decision: RequisiteDecision, reason: str, *, seal: str, actor: Actor
) -> Requisite:
    """Decide about a requisite exactly as it was seen (`seal_of`). Locks it. Needs transaction().

    Raises NotFound, Conflict `requisite_changed` when it is not what was seen, Forbidden `not_for_oneself` for
    its own trader, for whoever handed it in and for who is not known, ValidationFailed (reason).
    """
    requisite = _get(requisite_id, lock=True)
    trader = get_trader(requisite.trader_id)
    # The house itself, for what it seeds, and the operator's console are nobody's requisite's owner.
    is_house = actor.id is None and actor.kind in {ActorKind.SYSTEM, ActorKind.OPS}
    if not is_house and (actor.id is None or actor.id in {trader.user_id, requisite.submitted_by}):
        raise Forbidden("Nobody decides about a requisite of their own.", code="not_for_oneself")
    status = RequisiteStatus(requisite.status)
    if seal_of(requisite) != seal or (status, decision) not in _AFTER:
        raise Conflict("The requisite has changed meanwhile. Look at it again.", code="requisite_changed")
    words = reason_of(reason)
    became, action = _AFTER[status, decision]
    requisite.status = became.value
    requisite.decided_by, requisite.decided_at = (
        actor.id,
        db.session.scalar(select(db.func.clock_timestamp())),
    )
    requisite.decision_reason = words
    if decision is RequisiteDecision.APPROVE:
        requisite.approved_at = requisite.decided_at
    db.session.flush()
    refresh_readiness(trader.id)
    before, after = {"status": status.value}, {"status": became.value}
    subject = ("requisite", requisite_id)
    record_audit(action, actor=actor, subject=subject, before=before, after=after, reason=words)
    if became is RequisiteStatus.APPROVED:
        after_commit(_look_again)
    return requisite


def _get(requisite_id: uuid.UUID, *, lock: bool) -> Requisite:
    query = select(Requisite).where(Requisite.id == requisite_id).execution_options(populate_existing=True)
    found = db.session.scalar(query.with_for_update(key_share=True) if lock else query)
    if found is None:
        raise NotFound("There is no such requisite.")
    return found


def _check_holder(holder: str) -> None:
    words = holder.strip()
    if not 2 <= len(words) <= 100 or not words.isprintable():
        raise ValidationFailed.of("holder", "malformed", "Give the name that the bank shows.")


def _check_bank(method: str, currency: str, bank: str | None) -> None:
    banks = {known.code for known in list_banks(method, currency)}
    if bank is not None and bank not in banks:
        raise ValidationFailed.of("bank", "unknown", "There is no such bank for this method.")


def _look_again() -> None:
    enqueue_job("match_waiting")
