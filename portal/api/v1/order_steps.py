"""`/orders/{id}/...`: what a store does to an order: choose, claim, cancel, confirm, attach a receipt."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from flask import Response, request

from portal.api.authentication import Caller, current_caller
from portal.api.idempotency import call_of, read_key, run_once
from portal.api.operations import operation
from portal.api.strict_json import read_json
from portal.api.v1 import api_v1
from portal.api.v1.orders import order_of, shown
from portal.api.v1.orders_answers import OrderOut
from portal.api.v1.orders_schemas import CancelOrder, ChooseMethod, ClaimOrder, Nothing
from portal.api.validation import Body, validated
from portal.core.errors import Conflict
from portal.core.idempotency import StoredAnswer
from portal.identity.models import Scope
from portal.orders.record import OrderRecord
from portal.orders.service.assign import choose_method
from portal.orders.service.cancel import cancel_order
from portal.orders.service.claim import PayerDetails, claim_payin
from portal.orders.service.confirm import confirm_payout

_PROBLEMS = (400, 404, 409, 413, 415, 422, 503)


def _step(
    order_id: str,
    body: Body,
    verb: Callable[[Caller, OrderRecord], OrderRecord],
    *,
    key_required: bool = True,
) -> Response:
    """Carry a verb out on the caller's locked order, once for each key, and answer with the order."""
    caller = current_caller()
    key = read_key(required=key_required)
    call = None if key is None else call_of(caller, key, body.model_dump(exclude_none=True))

    def work() -> StoredAnswer:
        order = verb(caller, order_of(caller, order_id, lock=True))
        return StoredAnswer(200, orjson.dumps(shown(caller, order)).decode())

    return run_once(call, work)


def _body_or_nothing() -> object:
    """The body may be left out where every field of it is optional."""
    return read_json(request) if request.content_type or request.content_length else {}


@api_v1.post("/orders/<order_id>/method", provide_automatic_options=False)
@operation(
    id="choose_method",
    summary="Choose the method of a payin that was left open",
    tag="Orders",
    scope=Scope.ORDERS_WRITE,
    body=ChooseMethod,
    idempotency="required",
    answer=OrderOut,
    problems=_PROBLEMS,
    example={"method": "card"},
)
def choose(order_id: str) -> Response:
    asked = validated(ChooseMethod, read_json(request))

    return _step(
        order_id,
        asked,
        lambda caller, order: choose_method(order, asked.method, asked.bank, actor=caller.actor),
    )


@api_v1.post("/orders/<order_id>/claim", provide_automatic_options=False)
@operation(
    id="claim_payin",
    summary="Say that the customer has paid",
    tag="Orders",
    scope=Scope.ORDERS_WRITE,
    description="Payins only. `payer` helps the trader to recognise the payment.",
    body=ClaimOrder,
    idempotency="optional",
    answer=OrderOut,
    problems=_PROBLEMS,
    example={"payer": {"name": "Ivan P.", "last4": "1234"}},
)
def claim(order_id: str) -> Response:
    asked = validated(ClaimOrder, _body_or_nothing())
    payer = None if asked.payer is None else PayerDetails(**asked.payer.model_dump())

    def verb(caller: Caller, order: OrderRecord) -> OrderRecord:
        if not order.is_payin:
            raise Conflict("A payout is claimed by its trader.", code="invalid_transition")
        needs_receipt = caller.store.receipt_required
        return claim_payin(order, payer, receipt_required=needs_receipt, actor=caller.actor)

    return _step(order_id, asked, verb, key_required=False)


@api_v1.post("/orders/<order_id>/cancel", provide_automatic_options=False)
@operation(
    id="cancel_order",
    summary="Cancel an order before anybody has paid",
    tag="Orders",
    scope=Scope.ORDERS_WRITE,
    body=CancelOrder,
    idempotency="required",
    answer=OrderOut,
    problems=_PROBLEMS,
    example={"reason": "customer changed their mind"},
)
def cancel(order_id: str) -> Response:
    asked = validated(CancelOrder, _body_or_nothing())
    return _step(order_id, asked, lambda caller, order: cancel_order(order, asked.reason, actor=caller.actor))


@api_v1.post("/orders/<order_id>/confirm", provide_automatic_options=False)
@operation(
    id="confirm_payout",
    summary="Confirm that a payout was received",
    tag="Orders",
    scope=Scope.PAYOUTS_WRITE,
    body=Nothing,
    idempotency="required",
    answer=OrderOut,
    problems=_PROBLEMS,
    example={},
)
def confirm(order_id: str) -> Response:
    asked = validated(Nothing, _body_or_nothing())

    def verb(caller: Caller, order: OrderRecord) -> OrderRecord:
        if order.is_payin:
            raise Conflict("A payin is confirmed by its trader.", code="invalid_transition")
        return confirm_payout(order, actor=caller.actor)

    return _step(order_id, asked, verb)
