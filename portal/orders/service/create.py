"""Creating an order: rate, fees and limits frozen, risk asked, a payin matched, all in one transaction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import psycopg

from portal.core.actors import Actor
from portal.core.crypto import blind_index, derived_token, encrypt, token_hash
from portal.core.db import after_commit, constraint_of, hot
from portal.core.errors import Conflict, ValidationFailed
from portal.core.idempotency import IdempotentCall, begin_call
from portal.core.ids import new_id, public_id
from portal.core.live import nudge
from portal.core.modes import Mode
from portal.ledger import entries
from portal.ledger.entries import Posting
from portal.ledger.models import SubjectKind
from portal.ledger.service import entry_params, refusal_of
from portal.merchants.queries import PlanTerms, StoreTerms
from portal.orders.accounts import accounts_of, store_accounts
from portal.orders.models import Direction, Status
from portal.orders.pricing import settlement_of, split_of
from portal.orders.record import FIELDS, OrderRecord
from portal.orders.representation import order_object
from portal.orders.service.assign import give_requisite, search
from portal.orders.service.insert import INSERT_ORDER
from portal.orders.transitions import Step
from portal.reference import configuration as config
from portal.reference.queries import RateQuote, current_rate
from portal.reference.requisite_numbers import RequisiteNumber
from portal.risk.facts import OrderFacts
from portal.risk.models import RiskAction
from portal.risk.service import Decision, decide, record_decision


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
    """A checked request. `amount_minor` is in minor units of `currency`; a payin's method may be left open."""

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


class DuplicateExternalId(Conflict):
    code, title = "duplicate_external_id", "There is an order with this external_id already"


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
    the store's balance. Locks: the key, then requisite, then accounts by id. Raises RateUnavailable,
    ValidationFailed, InsufficientFunds, DuplicateExternalId, IdempotencyInProgress, IdempotencyKeyReused.
    """
    now, answered = begin_call(call)
    if answered is not None:
        return Created(None, answered.body, answered.status, is_replay=True)
    order = _freeze(store, mode, new, now)
    decision = decide(_facts(order, store, new))
    trace, number = _first_steps(order, store, decision)
    shown = order_object(order)
    told = orjson.dumps(shown).decode()
    if number is not None:
        shown["requisite"]["number"] = number
    body = orjson.dumps(shown).decode()
    _insert(order, actor, call, told, body, trace)
    record_decision(order.id, decision)
    _nudge_after_commit(order)
    return Created(order.id, body)


def _freeze(store: StoreTerms, mode: Mode, new: NewOrder, now: datetime) -> OrderRecord:
    """The order's row with everything that its price depends on."""
    plan = _check_store(store, new)
    rate = current_rate(new.currency, store.settlement_currency, new.direction.value)
    value = settlement_of(new.amount_minor, new.currency, store.settlement_currency, rate.micros)
    split = split_of(
        value, plan.store_fee_bps, plan.fixed_minor, plan.trader_commission_bps, plan.lead_commission_bps,
        is_payin=new.direction is Direction.PAYIN,
    )  # fmt: skip
    order_id = new_id()
    values = dict.fromkeys(FIELDS)
    values |= _identity(order_id, store, mode, new, now)
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


def _identity(
    order_id: uuid.UUID, store: StoreTerms, mode: Mode, new: NewOrder, now: datetime
) -> dict[str, Any]:
    match_by = now + timedelta(seconds=config.get(config.MATCH_WINDOW_S))
    return {
        "id": order_id, "version": 1, "mode": mode.value, "direction": new.direction.value,
        "status": Status.MATCHING.value, "store_id": store.id, "external_id": new.external_id,
        "amount_minor": new.amount_minor, "currency": new.currency, "method": new.method, "bank": new.bank,
        "round": 0, "hold_minor": 0, "order_metadata": new.metadata or {}, "return_url": new.return_url,
        "description": new.description, "locale": new.locale,
        "token_hash": token_hash(derived_token("payment", order_id)),
        "match_by": match_by, "due_at": match_by, "created_at": now, "updated_at": now,
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


def _facts(order: OrderRecord, store: StoreTerms, new: NewOrder) -> OrderFacts:
    number = new.recipient.number.number if new.recipient else ""
    return OrderFacts(
        order_id=order.id,
        store_id=store.id,
        mode=order.mode,
        direction=order.direction,
        amount_minor=order.amount_minor,
        currency=order.currency,
        at=order.created_at,
        method=order.method,
        bank=order.bank,
        customer_ref=order.customer_ref,
        customer_ip=new.customer.ip,
        customer_email=new.customer.email,
        requisite_index=order.recipient_number_index,
        recipient_bin=number[:6] if number.isdigit() and 13 <= len(number) <= 19 else None,
    )


def _first_steps(
    order: OrderRecord, store: StoreTerms, decision: Decision
) -> tuple[dict[str, Any] | None, str | None]:
    """Where the order goes at once; the match's explanation and the requisite's number, if there is one."""
    if decision.action is RiskAction.DENY:
        order.status, order.status_reason = Status.FAILED.value, "declined"
        order.due_at, order.ended_at = None, order.created_at
        return None, None
    if decision.action is RiskAction.REVIEW:
        order.status = Status.REVIEW.value
        return None, None
    if not order.is_payin or order.method is None:
        return None, None
    result = search(order, store)
    if result.taken is None:
        order.retry_at = order.created_at + timedelta(seconds=1)
        return result.trace, None
    order.status = Status.AWAITING_PAYMENT.value
    number = give_requisite(order, result.taken, order.created_at)
    order.hold_minor = order.settlement_minor
    return result.trace, number


def _postings(order: OrderRecord) -> Posting | None:
    if order.status == Status.FAILED:
        return None
    if order.is_payin:
        if not order.hold_minor:
            return None
        return entries.hold(accounts_of(order), order.hold_minor, round_=order.round)
    available, held = store_accounts(order)
    order.hold_minor = order.settlement_minor + order.fee_minor
    return entries.payout_created(available, held, order.settlement_currency, order.hold_minor)


def _insert(
    order: OrderRecord,
    actor: Actor,
    call: IdempotentCall | None,
    told: str,
    body: str,
    trace: dict[str, Any] | None,
) -> None:
    """Order, timeline, outbox, idempotency key and hold in one statement."""
    posting = _postings(order)
    steps, events = _story(order)
    params = {name: getattr(order, name) for name in FIELDS}
    params |= entry_params(posting, SubjectKind.ORDER, order.id)
    params |= {
        "order_metadata": orjson.dumps(order.order_metadata).decode(),
        "match_trace": None if trace is None else orjson.dumps(trace).decode(),
        "actor_kind": actor.kind.value, "actor_id": actor.id,
        "steps": [step for step, _, _ in steps], "steps_from": [source for _, source, _ in steps],
        "steps_to": [target for _, _, target in steps],
        "event_ids": [new_id() for _ in events], "event_types": events, "event_data": told,
        "key_path": call.path if call else None, "key": call.key if call else None,
        "key_fingerprint": call.fingerprint if call else None, "key_body": call.seal(body) if call else None,
    }  # fmt: skip
    try:
        hot(INSERT_ORDER, params)
    except psycopg.errors.CheckViolation as error:
        raise refusal_of(error) from error
    except psycopg.errors.UniqueViolation as error:
        if constraint_of(error) == "uq_orders_external_id":
            raise DuplicateExternalId(extra={"external_id": order.external_id or ""}) from error
        raise


def _story(order: OrderRecord) -> tuple[list[tuple[str, str | None, str]], list[str]]:
    """The timeline's first steps and the events to be told."""
    steps: list[tuple[str, str | None, str]] = []
    if order.status == Status.AWAITING_PAYMENT:
        steps.append((Step.CREATED.value, None, Status.MATCHING.value))
        steps.append((Step.MATCHED.value, Status.MATCHING.value, order.status))
        return steps, ["order.matched"]
    steps.append((Step.CREATED.value, None, order.status))
    if order.status == Status.FAILED:
        return steps, ["order.failed" if order.is_payin else "payout.failed"]
    return steps, []


def _nudge_after_commit(order: OrderRecord) -> None:
    if order.trader_id is not None:
        channel = f"trader:{order.trader_id}"
    elif not order.is_payin and order.status == Status.MATCHING:
        channel = f"payouts:{order.mode}"
    else:
        return
    after_commit(lambda: nudge(channel))


def explain_duplicate(error: DuplicateExternalId, first_id: uuid.UUID) -> DuplicateExternalId:
    """The same refusal with the id of the first order, looked up after the roll-back."""
    first = public_id("ord", first_id)
    return DuplicateExternalId(
        f"The order {first} has this external_id.", extra=error.extra | {"order_id": first}
    )


__all__ = [
    "Created",
    "Customer",
    "DuplicateExternalId",
    "NewOrder",
    "Recipient",
    "create_order",
    "explain_duplicate",
]
