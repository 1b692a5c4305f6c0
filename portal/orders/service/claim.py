"""Somebody says that the money was sent: the customer of a payin, the trader of a payout."""

from __future__ import annotations

from copy import copy
from dataclasses import asdict, dataclass
from datetime import timedelta

import orjson

from portal.core.actors import Actor
from portal.core.crypto import encrypt
from portal.core.db import hot
from portal.core.errors import Conflict
from portal.orders.evidence import has_proof
from portal.orders.models import Status
from portal.orders.record import OrderRecord
from portal.orders.service.apply import apply
from portal.orders.transitions import Step, find_transition
from portal.reference import configuration as config


@dataclass(frozen=True, slots=True)
class PayerDetails:
    """What helps the trader to recognise the payment. Stored encrypted."""

    name: str | None = None
    last4: str | None = None
    bank: str | None = None
    reference: str | None = None

    @property
    def is_empty(self) -> bool:
        return not any((self.name, self.last4, self.bank, self.reference))


class ProofMissing(Conflict):
    code, title = "proof_missing", "Attach the proof of payment first"


_HAS_RECEIPT = "SELECT EXISTS (SELECT 1 FROM receipt WHERE order_id = %(id)s AND kind = 'payment') AS found"


def claim_payin(
    order: OrderRecord, payer: PayerDetails | None, *, receipt_required: bool = False, actor: Actor
) -> OrderRecord:
    """The customer has paid: the trader's time to confirm begins. A second time changes nothing.

    Raises ProofMissing where the store asks for a receipt and there is none, InvalidTransition.
    """
    if order.status == Status.AWAITING_CONFIRMATION:
        return order
    row = find_transition(order.direction, order.status, Step.CLAIMED, actor)
    if receipt_required and not hot(_HAS_RECEIPT, {"id": order.id})[0]["found"]:
        raise ProofMissing("The shop asks for a receipt. Attach it first.")
    before = copy(order)
    now = order.read_at
    order.claimed_at = now
    order.confirm_by = order.due_at = now + timedelta(seconds=config.get(config.CONFIRM_WINDOW_S))
    if payer is not None and not payer.is_empty:
        plain = orjson.dumps(asdict(payer)).decode()
        order.payer_encrypted = encrypt("orders", "payer", order.id, plain)
    return apply(order, row, actor=actor, before=before)


def claim_payout(order: OrderRecord, *, actor: Actor) -> OrderRecord:
    """The trader has paid and attached the proof: after a quiet period it counts as confirmed.

    Raises ProofMissing, InvalidTransition.
    """
    if order.status == Status.AWAITING_CONFIRMATION:
        return order
    row = find_transition(order.direction, order.status, Step.CLAIMED, actor)
    if not has_proof(order):
        raise ProofMissing()
    before = copy(order)
    now = order.read_at
    order.claimed_at = now
    order.confirm_by = order.due_at = now + timedelta(seconds=config.get(config.PAYOUT_QUIET_PERIOD_S))
    return apply(order, row, actor=actor, before=before)
