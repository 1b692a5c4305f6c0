"""Creating an order: rate, fees and limits frozen, risk asked, a payin matched, all in one transaction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from portal.core.actors import Actor
from portal.core.crypto import blind_index, derived_token, encrypt, token_hash
from portal.core.db import after_commit, run_in_one_statement, run_in_transaction
from portal.core.db.clock import transaction_now
from portal.core.errors import Conflict, DomainError, ValidationFailed
from portal.core.idempotency import IdempotentCall, find_answer
from portal.core.ids import new_id
from portal.core.live import nudge
from portal.core.modes import Mode
from portal.merchants.queries import PlanTerms, StoreTerms
from portal.orders.models import Direction, Status
from portal.orders.pricing import settlement_of, split_of
from portal.orders.reasons import HouseReason
from portal.orders.record import FIELDS, OrderRecord
from portal.orders.service.place import answer_of, place_order
from portal.reference.amounts import check_amount
from portal.reference.maintenance import refuse_in_maintenance
from portal.reference.queries import RateQuote, current_rate
from portal.reference.requisite_numbers import RequisiteNumber
from portal.reference.ways import check_method
from portal.risk.facts import OrderFacts
from portal.risk.models import RiskAction
from portal.risk.queries import rule_book
from portal.risk.service import Decision, decide, record_decision

# Where a payout's method and bank are named: what is wrong with them is said of these fields.
OF_RECIPIENT = "recipient."


@dataclass(frozen=True, slots=True)
class Customer:
    """Who pays, as far as the store tells. `name` and `email` are stored encrypted."""

    id: str | None = None
    name: str | None = None
    email: str | None = None
    ip: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where a payout goes: a checked number and its holder."""

    number: RequisiteNumber
    holder: str


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A request. `amount_minor` is in minor units of `currency`; a payin's method may be left open."""

    direction: Direction
    amount_minor: int
    currency: str
    method: str | None = None
    bank: str | None = None
    external_id: str | None = None
    customer: Customer = Customer()
    recipient: Recipient | None = None
    return_url: str | None = None
    description: str | None = None
    locale: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """The answer: its JSON text, and whether it was given before under the same key."""

    order_id: uuid.UUID | None
    body: str
    status: int = 201
    is_replay: bool = False


def create_order_now(
    store: StoreTerms, mode: Mode, new: NewOrder, *, actor: Actor, call: IdempotentCall
) -> Created:
    """create_order in a transaction of its own, retried when it loses a race.

    For a payin that no risk rule is asked about, the one statement is the whole transaction.
    """
    is_alone = new.direction is Direction.PAYIN and rule_book().is_empty
    run = run_in_one_statement if is_alone else run_in_transaction
    return run(lambda: create_order(store, mode, new, actor=actor, call=call))


def create_order(
    store: StoreTerms,
    mode: Mode,
    new: NewOrder,
    *,
    actor: Actor,
    call: IdempotentCall | None = None,
) -> Created:
    """Create one order and answer with its object, or replay the answer given under the same key.

    Freezes rate, fees and limits. A payin with a method is matched at once; a payout holds amount + fee of
    the store's balance. Locks: the key, then requisite, then accounts by id. Raises ValidationFailed (method, bank,
    recipient), InMaintenance, AmountOutOfBounds, RateUnavailable, InsufficientFunds, DuplicateExternalId,
    IdempotencyInProgress, IdempotencyKeyReused.
    """
    try:
        order = _freeze(store, mode, new)
    except DomainError:
        # What can't be asked today may have been answered yesterday.
        kept = find_answer(call) if call else None
        if kept is None:
            raise
        return Created(None, answer_of(kept, call), kept["kept_status"], is_replay=True)
    decision = _ask_risk(order, store, new)
    search = order.status == Status.MATCHING and order.is_payin and order.method is not None
    row = place_order(order, store, search=search, actor=actor, call=call)
    body = answer_of(row, call)
    if row["verdict"] == "replay":
        return Created(None, body, row["kept_status"], is_replay=True)
    if decision is not None:
        record_decision(order.id, decision)
    _nudge_after_commit(order, row["trader_id"])
    return Created(order.id, body)


def _freeze(store: StoreTerms, mode: Mode, new: NewOrder) -> OrderRecord:
    """The order with everything that its price depends on; its times come from the database."""
    within = "" if new.direction is Direction.PAYIN else OF_RECIPIENT
    check_method(new.method, new.bank, new.currency, within=within)
    refuse_in_maintenance()
    check_amount(new.amount_minor, new.currency, new.method)
    plan = _check_store(store, new)
    rate = current_rate(new.currency, store.settlement_currency, new.direction.value)
    value = settlement_of(new.amount_minor, new.currency, store.settlement_currency, rate.micros)
    split = split_of(
        value, plan.store_fee_bps, plan.fixed_minor, plan.trader_commission_bps, plan.lead_commission_bps,
        is_payin=new.direction is Direction.PAYIN,
    )  # fmt: skip
    order_id = new_id()
    values = dict.fromkeys(FIELDS)
    values |= _identity(order_id, store, mode, new)
    values |= _price(store, plan, rate, value, split.store_fee_minor)
    values |= _people(order_id, new)
    return OrderRecord(**values)  # type: ignore[arg-type]


def _check_store(store: StoreTerms, new: NewOrder) -> PlanTerms:
    enabled = store.payin_enabled if new.direction is Direction.PAYIN else store.payout_enabled
    if not store.is_active or not enabled:
        raise Conflict(f"The store takes no {new.direction.value}s at present.", code="store_disabled")
    plan = store.plan(new.direction.value, new.method)
    if plan is None:
        raise Conflict(f"The store has no fee plan for {new.direction.value}s.", code="no_fee_plan")
    if new.direction is Direction.PAYOUT and (new.recipient is None or new.method is None):
        raise ValidationFailed.of("recipient", "missing", "A payout needs a recipient.")
    return plan


def _identity(order_id: uuid.UUID, store: StoreTerms, mode: Mode, new: NewOrder) -> dict[str, Any]:
    return {
        "id": order_id, "version": 1, "mode": mode.value, "direction": new.direction.value,
        "status": Status.MATCHING.value, "store_id": store.id, "external_id": new.external_id,
        "amount_minor": new.amount_minor, "currency": new.currency, "method": new.method, "bank": new.bank,
        "round": 0, "hold_minor": 0, "order_metadata": new.metadata or {}, "return_url": new.return_url,
        "description": new.description, "locale": new.locale,
        "token_hash": token_hash(derived_token("payment", order_id)),
    }  # fmt: skip


def _price(
    store: StoreTerms, plan: PlanTerms, rate: RateQuote, value_minor: int, fee_minor: int
) -> dict[str, Any]:
    return {
        "settlement_currency": store.settlement_currency, "settlement_minor": value_minor,
        "fee_minor": fee_minor, "rate_micros": rate.micros, "rate_source": rate.source,
        "rate_at": rate.observed_at, "store_fee_bps": plan.store_fee_bps,
        "fixed_fee_minor": plan.fixed_minor, "trader_commission_bps": plan.trader_commission_bps,
        "lead_commission_bps": plan.lead_commission_bps,
    }  # fmt: skip


def _people(order_id: uuid.UUID, new: NewOrder) -> dict[str, Any]:
    values: dict[str, Any] = {"customer_ref": new.customer.id, "customer_ip": new.customer.ip}
    if new.customer.name or new.customer.email:
        plain = orjson.dumps({"name": new.customer.name, "email": new.customer.email}).decode()
        values["customer_encrypted"] = encrypt("orders", "customer", order_id, plain)
    if new.recipient is not None:
        number = new.recipient.number
        values |= {
            "recipient_number_encrypted": encrypt("orders", "recipient_number", order_id, number.number),
            "recipient_number_index": blind_index("requisite", number.number),
            "recipient_masked": number.masked,
            "recipient_holder": new.recipient.holder,
        }
    return values


def _ask_risk(order: OrderRecord, store: StoreTerms, new: NewOrder) -> Decision | None:
    """Let the rules decide where the order begins; None where there is nothing to decide by."""
    if rule_book().is_empty:
        return None
    decision = decide(_facts(order, store, new, transaction_now()))
    if decision.action is RiskAction.DENY:
        order.status, order.status_reason = Status.FAILED.value, HouseReason.DECLINED.value
    elif decision.action is RiskAction.REVIEW:
        order.status = Status.REVIEW.value
    return decision


def _facts(order: OrderRecord, store: StoreTerms, new: NewOrder, now: datetime) -> OrderFacts:
    number = new.recipient.number.number if new.recipient else ""
    return OrderFacts(
        order_id=order.id,
        store_id=store.id,
        mode=order.mode,
        direction=order.direction,
        amount_minor=order.amount_minor,
        currency=order.currency,
        at=now,
        method=order.method,
        bank=order.bank,
        customer_ref=order.customer_ref,
        customer_ip=new.customer.ip,
        customer_email=new.customer.email,
        requisite_index=order.recipient_number_index,
        recipient_bin=number[:6] if number.isdigit() and 13 <= len(number) <= 19 else None,
    )


def _nudge_after_commit(order: OrderRecord, trader_id: uuid.UUID | None) -> None:
    if trader_id is not None:
        channel = f"trader:{trader_id}"
    elif not order.is_payin and order.status == Status.MATCHING:
        channel = f"payouts:{order.mode}"
    else:
        return
    after_commit(lambda: nudge(channel))
