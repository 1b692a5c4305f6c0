"""`/test/...`: play the customer, the trader and the clock for an order of test mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from flask import Response, request
from pydantic import Field

from portal.api.answers import answer
from portal.api.authentication import Caller, current_caller
from portal.api.operations import operation
from portal.api.strict_json import read_json
from portal.api.v1 import api_v1
from portal.api.v1.new_orders import amount_of
from portal.api.v1.orders import order_of, shown
from portal.api.v1.orders_answers import OrderOut
from portal.api.v1.sandbox_payouts import pay_payout
from portal.api.validation import Amount, Body, validated
from portal.core.actors import CUSTOMER, Actor, ActorKind
from portal.core.db import run_in_transaction
from portal.core.errors import Conflict, NotFound
from portal.disputes.giving_back import give_order_back
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute, open_unconfirmed
from portal.identity.models import Scope
from portal.orders.record import OrderRecord
from portal.orders.service.cancel import cancel_order
from portal.orders.service.claim import claim_payin
from portal.orders.service.confirm import agree_to_amount, confirm_payin, confirm_payout
from portal.orders.service.deadlines import act_on_deadline
from portal.orders.service.sandbox_clock import move_clock
from portal.reference.queries import get_currency

_LONGEST_JUMP_S = 30 * 86400


class DriveOrder(Body):
    """`amount_received` is for `confirm`: another amount came. Outside the store's tolerance the customer is asked."""

    amount_received: Amount | None = None
    """For `confirm`: what came, where it is not the amount of the order."""


class MoveClock(Body):
    order_id: Annotated[str, Field(max_length=40)]
    """The test order for which time passes."""
    seconds: Annotated[
        int, Field(ge=1, le=_LONGEST_JUMP_S, description="How much time passes for this order.")
    ]


def _trader(order: OrderRecord) -> Actor:
    return Actor(ActorKind.TRADER, order.trader_id)


def _pay(order: OrderRecord, _: DriveOrder) -> OrderRecord:
    """The customer of a payin, or the trader of a payout, sends the money and says so."""
    return claim_payin(order, None, actor=CUSTOMER) if order.is_payin else pay_payout(order)


def _confirm(order: OrderRecord, asked: DriveOrder) -> OrderRecord:
    if not order.is_payin:
        return confirm_payout(order, actor=Actor(ActorKind.MERCHANT, order.store_id))
    received = asked.amount_received
    minor = None if received is None else amount_of(received, get_currency(order.currency))
    return confirm_payin(order, minor, actor=_trader(order))


def _agree(order: OrderRecord, _: DriveOrder) -> OrderRecord:
    """The customer says that they sent what the trader reports."""
    return agree_to_amount(order, order.amount_reported_minor or order.actual_minor, actor=CUSTOMER)


def _expire(order: OrderRecord, _: DriveOrder) -> OrderRecord:
    """The deadline of the present status passes."""
    if order.due_at is None:
        raise Conflict("The order has no deadline any more.", code="invalid_transition")
    return act_on_deadline(order, open_unconfirmed)


def _cancel(order: OrderRecord, _: DriveOrder) -> OrderRecord:
    actor = CUSTOMER if order.is_payin else Actor(ActorKind.MERCHANT, order.store_id)
    return cancel_order(order, None, actor=actor)


def _dispute(order: OrderRecord, _: DriveOrder) -> OrderRecord:
    if order.is_payin:
        return open_dispute(order, DisputeReason.NOT_CONFIRMED, None, None, actor=CUSTOMER)
    merchant = Actor(ActorKind.MERCHANT, order.store_id)
    return open_dispute(order, DisputeReason.NOT_RECEIVED, None, None, actor=merchant)


def _decline(order: OrderRecord, _: DriveOrder) -> OrderRecord:
    """The trader gives the order back, saying that the money did not come."""
    return give_order_back(order, DisputeReason.NOT_RECEIVED, actor=_trader(order))


ACTIONS: dict[str, Callable[[OrderRecord, DriveOrder], OrderRecord]] = {
    "pay": _pay,
    "confirm": _confirm,
    "agree": _agree,
    "expire": _expire,
    "cancel": _cancel,
    "dispute": _dispute,
    "decline": _decline,
}


@api_v1.post("/test/orders/<order_id>/<action>", provide_automatic_options=False)
@operation(
    id="drive_test_order",
    summary="Play a part in a test order",
    tag="Test mode",
    scope=Scope.ORDERS_WRITE,
    is_test_only=True,
    description=(
        "pay: the customer (or a payout's trader) pays and says so. confirm: the money has come, perhaps another"
        " amount. agree: the customer agrees to the amount that was reported. expire: the present deadline passes. cancel, dispute, decline: what they say."
    ),
    body=DriveOrder,
    path_choices={"action": tuple(ACTIONS)},
    answer=OrderOut,
    problems=(400, 404, 409, 413, 415, 422),
    example={},
)
def drive(order_id: str, action: str) -> Response:
    verb = ACTIONS.get(action)
    if verb is None:
        raise NotFound(f"There are the actions {', '.join(ACTIONS)}.")
    asked = validated(DriveOrder, _body_or_nothing())
    return _driven(current_caller(), order_id, lambda order: verb(order, asked))


@api_v1.post("/test/clock", provide_automatic_options=False)
@operation(
    id="move_test_clock",
    summary="Let time pass for a test order",
    tag="Test mode",
    scope=Scope.ORDERS_WRITE,
    is_test_only=True,
    description="Its deadlines come nearer by so many seconds, and what is due then happens at once.",
    body=MoveClock,
    answer=OrderOut,
    problems=(400, 404, 409, 413, 415, 422),
    example={"order_id": "ord_01h455vb4pex5vsknk084sn02q", "seconds": 900},
)
def clock() -> Response:
    caller = current_caller()
    asked = validated(MoveClock, read_json(request))

    def verb(order: OrderRecord) -> OrderRecord:
        moved = move_clock(order, asked.seconds, actor=caller.actor)
        is_due = moved.due_at is not None and moved.due_at <= moved.updated_at
        return act_on_deadline(moved, open_unconfirmed) if is_due else moved

    return _driven(caller, asked.order_id, verb)


def _body_or_nothing() -> object:
    return read_json(request) if request.content_type or request.content_length else {}


def _driven(caller: Caller, order_id: str, verb: Callable[[OrderRecord], OrderRecord]) -> Response:
    def work() -> dict[str, Any]:
        return shown(caller, verb(order_of(caller, order_id, lock=True)))

    return answer(run_in_transaction(work))
