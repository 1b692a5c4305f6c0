"""What the sandbox, the demo, the bench and tests need of traders, made by the verbs that people use."""

from __future__ import annotations

import uuid

from portal.core.actors import SYSTEM, Actor
from portal.traders.models import Requisite
from portal.traders.requisites import RequisiteDecision, decide_requisite, seal_of, switch_own
from portal.traders.service import NewRequisite, add_requisite


def add_approved_requisite(
    trader_id: uuid.UUID, new: NewRequisite, *, is_on: bool = True, actor: Actor = SYSTEM
) -> Requisite:
    """A requisite of the trader that is approved, and switched on unless told otherwise. Needs transaction().

    Raises as `add_requisite`, Forbidden unless the actor is the system or the operator's console.
    """
    requisite = add_requisite(trader_id, new, actor=actor)
    decide_requisite(requisite.id, RequisiteDecision.APPROVE, "seeded", seal=seal_of(requisite), actor=actor)
    switch_own(trader_id, requisite.id, payin_on=is_on, payout_on=is_on, actor=actor)
    return requisite
