"""Giving orders to requisites: the search, the customer's choice of method, payouts that are accepted."""

from __future__ import annotations

import logging
import uuid
from copy import copy
from datetime import datetime, timedelta

import orjson

from portal.core.actors import SYSTEM, Actor, ActorKind
from portal.core.crypto import decrypt
from portal.core.db import hot, is_connection_lost, transaction
from portal.core.errors import Conflict, NotFound
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.matching.payouts import may_take, reserve_for_payout
from portal.matching.service import MatchResult, Taken, Wanted, match
from portal.merchants.queries import StoreTerms, get_store
from portal.orders.exposure.limits import lock_figures, refusal_of
from portal.orders.models import Status
from portal.orders.pricing import settlement_of
from portal.orders.queries import get_order
from portal.orders.record import COLUMNS, OrderRecord, record_of
from portal.orders.service.apply import apply
from portal.orders.transitions import Note, Step, find_transition
from portal.reference import configuration as config
from portal.reference.amounts import check_amount
from portal.reference.maintenance import refuse_in_maintenance
from portal.reference.queries import RateQuote
from portal.reference.ways import check_method

log = logging.getLogger(__name__)

RETRY_EVERY_S = 2


class NothingFree(Conflict):
    """This trader has no requisite that could pay the payout."""

    code, title = "no_requisite", "None of your requisites can serve this order now"


def wanted_of(order: OrderRecord, store: StoreTerms) -> Wanted:
    """What is looked for to serve a payin whose method is chosen."""
    assert order.method is not None
    return Wanted(
        order.id, order.round, order.mode, order.method, order.bank, order.currency, order.amount_minor,
        order.settlement_minor, store.traffic_for(order.mode),
    )  # fmt: skip


def imagined(
    store: StoreTerms,
    mode: Mode,
    method: str,
    bank: str | None,
    currency: str,
    amount_minor: int,
    rate: RateQuote,
) -> Wanted:
    """What would be looked for to serve a payin that is not there, at this rate; `amount_minor` is fiat."""
    hold = settlement_of(amount_minor, currency, store.settlement_currency, rate.micros)
    return Wanted(
        new_id(), 0, mode.value, method, bank, currency, amount_minor, hold, store.traffic_for(mode)
    )


def search(order: OrderRecord, store: StoreTerms) -> MatchResult:
    """Look for a requisite and reserve its limits. Locks it and the trader's deposit."""
    return match(wanted_of(order, store))


def give_requisite(order: OrderRecord, taken: Taken, now: datetime) -> str:
    """Write the reserved requisite into the order and start the time to pay; the number to be shown."""
    order.requisite_id, order.trader_id = taken.requisite_id, taken.trader_id
    order.requisite_bank, order.requisite_holder = taken.bank, taken.holder
    order.requisite_masked = taken.number_masked
    order.round += 1
    order.assigned_at, order.counted_day = now, taken.counted_day
    order.window_leaves_at = now + timedelta(seconds=taken.window_s) if taken.window_s else None
    order.pay_by = order.due_at = now + timedelta(seconds=config.get(config.PAY_WINDOW_S))
    order.retry_at = None
    return decrypt("requisite", "number", taken.requisite_id, taken.number_encrypted)


def take_requisite_away(order: OrderRecord) -> None:
    """The order has no requisite any more (its limits are given back by the transition)."""
    order.requisite_id = order.trader_id = None
    order.requisite_bank = order.requisite_holder = order.requisite_masked = None
    order.assigned_at = order.counted_day = order.window_leaves_at = order.pay_by = order.confirm_by = None


def assign_payin(order: OrderRecord, *, actor: Actor) -> OrderRecord:
    """Try to match a waiting payin whose row is locked; it stays as it is when nobody is free.

    One that never had a requisite waits while a limit of exposure is reached. Raises LimitReached and
    AmountAboveLimit where a customer or merchant asks.
    """
    row = find_transition(order.direction, order.status, Step.MATCHED, actor)
    now = order.read_at
    if order.round:
        lock_figures(order)  # as refusal_of() does
        refusal = None
    else:
        refusal = refusal_of(order)
    if refusal is not None:
        if actor.kind in {ActorKind.CUSTOMER, ActorKind.MERCHANT}:
            raise refusal
        _wait(order, now, MatchResult(None, {"exposure": refusal.extra["limit"]}))
        return order
    result = search(order, get_store(order.store_id))
    if result.taken is None:
        _wait(order, now, result)
        return order
    before = copy(order)
    give_requisite(order, result.taken, now)
    return apply(order, row, actor=actor, before=before, match_trace=result.trace)


_WAIT = """
UPDATE orders SET retry_at = %(retry_at)s, match_trace = %(trace)s::jsonb WHERE id = %(id)s
"""


def _wait(order: OrderRecord, now: datetime, result: MatchResult) -> None:
    order.retry_at = now + timedelta(seconds=RETRY_EVERY_S)
    trace = orjson.dumps(result.trace).decode()
    hot(_WAIT, {"id": order.id, "retry_at": order.retry_at, "trace": trace})


_CHOOSE = """
UPDATE orders SET method = %(method)s, bank = %(bank)s, version = version + 1, updated_at = now()
 WHERE id = %(id)s AND status = 'matching' AND method IS NULL
"""
_CHOSEN = f"""
INSERT INTO order_event (order_id, event, from_status, to_status, actor_kind, actor_id, reason)
VALUES (%(id)s, '{Note.METHOD_CHOSEN.value}', 'matching', 'matching', %(actor_kind)s, %(actor_id)s, NULL)
"""  # noqa: S608 - a constant of this house


def choose_method(order: OrderRecord, method: str, bank: str | None, *, actor: Actor) -> OrderRecord:
    """Set the method (and bank) that was left open, and match at once.

    Choosing the same again changes nothing, as long as it can be used. Raises ValidationFailed (method, bank), Conflict
    `method_already_chosen` for another one, InMaintenance, LimitReached, AmountAboveLimit, and AmountOutOfBounds for one
    that does not take the order's amount.
    """
    check_method(method, bank, order.currency)
    if order.method is not None:
        if (order.method, order.bank) == (method, bank):
            return order
        raise Conflict("The method has been chosen already.", code="method_already_chosen")
    if order.status != Status.MATCHING:
        raise Conflict(f"The order is {order.status.replace('_', ' ')}.", code="invalid_transition")
    refuse_in_maintenance()
    check_amount(order.amount_minor, order.currency, method)
    hot(_CHOOSE, {"id": order.id, "method": method, "bank": bank})
    hot(_CHOSEN, {"id": order.id, "actor_kind": actor.kind.value, "actor_id": actor.id})
    return assign_payin(get_order(order.id, lock=True), actor=actor)


_WAITING = f"""
SELECT {COLUMNS} FROM orders o
 WHERE o.retry_at <= now() AND o.status = 'matching' AND o.direction = 'payin' AND o.method IS NOT NULL
   AND o.id <> ALL(%(stuck)s::uuid[])
 ORDER BY o.retry_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608


def match_waiting_orders(limit: int = 100) -> int:
    """Try again for payins that wait for a trader, one transaction each; how many found one.

    One that fails is logged and passed over, so that it does not keep the others waiting.
    """
    matched = 0
    stuck: list[uuid.UUID] = []
    for _ in range(limit):
        order = None
        try:
            with transaction():
                rows = hot(_WAITING, {"stuck": stuck})
                if not rows:
                    break
                order = record_of(rows[0])
                assigned = assign_payin(order, actor=SYSTEM)
                matched += assigned.status == Status.AWAITING_PAYMENT
        except Exception as error:
            if order is None or is_connection_lost(error):
                raise
            log.exception("a waiting payin could not be matched", extra={"order": str(order.id)})
            stuck.append(order.id)
    return matched


def accept_payout(trader_id: uuid.UUID, order_id: uuid.UUID, *, actor: Actor) -> OrderRecord:
    """A trader takes a payout that is offered. The first one gets it; the others get 409.

    Locks the order, then one of the trader's requisites, whose limits are taken. Raises NotFound,
    InvalidTransition, NothingFree.
    """
    order = get_order(order_id, lock=True)
    store = get_store(order.store_id)
    _check_offered(order, store, trader_id)
    if order.trader_id == trader_id and order.status == Status.AWAITING_PAYOUT:
        return order
    row = find_transition(order.direction, order.status, Step.MATCHED, actor)
    taken = reserve_for_payout(
        trader_id, mode=order.mode, method=order.method or "", currency=order.currency, bank=order.bank,
        amount_minor=order.amount_minor,
    )  # fmt: skip
    if taken is None:
        raise NothingFree()
    now = order.read_at
    before = copy(order)
    give_requisite(order, taken, now)
    order.pay_by = order.due_at = now + timedelta(seconds=config.get(config.PAYOUT_PAY_WINDOW_S))
    return apply(order, row, actor=actor, before=before)


def _check_offered(order: OrderRecord, store: StoreTerms, trader_id: uuid.UUID) -> None:
    """Only a payout that this trader was offered; anything else is not there for them."""
    if order.is_payin or not may_take(trader_id, order.id, store.traffic_for(order.mode)):
        raise NotFound("There is no such order.")
