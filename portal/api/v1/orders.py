"""`/orders`: create, read, list."""

from __future__ import annotations

from flask import Response, request

from portal.api.answers import answer
from portal.api.authentication import Caller, current_caller
from portal.api.idempotency import call_of, kept_refusal, read_key, replayable
from portal.api.operations import operation
from portal.api.strict_json import read_json
from portal.api.v1 import api_v1
from portal.api.v1.cursors import id_after
from portal.api.v1.new_orders import new_order
from portal.api.v1.orders_answers import OrderList, OrderOut
from portal.api.v1.orders_schemas import CreateOrder, ListOrders
from portal.api.validation import validated, validated_query
from portal.core.cursors import encode_id
from portal.core.errors import Conflict, Forbidden, NotFound
from portal.core.idempotency import StoredAnswer
from portal.core.ids import parse_public_id, public_id
from portal.identity.models import Scope
from portal.orders.order_list import OrderFilter, Whose, list_whole_orders
from portal.orders.queries import find_order_by_external_id, get_order_for_store, requisite_number_of
from portal.orders.record import OrderRecord
from portal.orders.representation import order_object
from portal.orders.service.create import create_order_now
from portal.orders.service.place import DuplicateExternalId, explain_duplicate

_EXAMPLE = {
    "direction": "payin",
    "amount": "1500.00",
    "currency": "RUB",
    "method": "card",
    "external_id": "shop-1001",
    "customer": {"id": "c-77", "ip": "203.0.113.7"},
    "description": "Order 1001",
    "locale": "ru",
    "metadata": {"cart": "9f"},
}


def order_of(caller: Caller, order_id: str, *, lock: bool = False) -> OrderRecord:
    """The caller's order with this public id. Raises NotFound for any other."""
    parsed = parse_public_id("ord", order_id)
    if parsed is None:
        raise NotFound("There is no such order.")
    return get_order_for_store(caller.store.id, caller.mode, parsed, lock=lock)


def shown(caller: Caller, order: OrderRecord) -> dict[str, object]:
    """The object as this caller may see it: the requisite's full number and the link are for who writes orders."""
    if Scope.ORDERS_WRITE not in caller.scopes:
        return order_object(order)
    number = requisite_number_of(order) if order.is_payin and not order.is_final else None
    return order_object(order, number, with_link=True)


@api_v1.post("/orders", provide_automatic_options=False)
@operation(
    id="create_order",
    summary="Create an order",
    tag="Orders",
    scope=Scope.ORDERS_WRITE,
    description="A payin needs the scope orders:write, a payout payouts:write as well.",
    body=CreateOrder,
    idempotency="required",
    status=201,
    answer=OrderOut,
    problems=(400, 409, 413, 415, 422, 503),
    example=_EXAMPLE,
)
def create() -> Response:
    caller = current_caller()
    key = read_key()
    asked = validated(CreateOrder, read_json(request))
    if asked.direction == "payout" and Scope.PAYOUTS_WRITE not in caller.scopes:
        raise Forbidden(
            "This needs the scope payouts:write.", code="missing_scope", extra={"scope": "payouts:write"}
        )
    new = new_order(asked, caller.store)
    call = call_of(caller, key or "", asked.model_dump(exclude_none=True))
    try:
        created = create_order_now(caller.store, caller.mode, new, actor=caller.actor, call=call)
    except DuplicateExternalId as refusal:
        first = find_order_by_external_id(caller.store.id, caller.mode, new.external_id or "")
        explained = explain_duplicate(refusal, public_id("ord", first.id)) if first else refusal
        return kept_refusal(call, explained)
    except Conflict as refusal:
        return kept_refusal(call, refusal)
    return replayable(StoredAnswer(created.status, created.body), is_replay=created.is_replay)


@api_v1.get("/orders/<order_id>", provide_automatic_options=False)
@operation(
    id="get_order",
    summary="Read an order",
    tag="Orders",
    scope=Scope.ORDERS_READ,
    description="`payment_url` and the requisite's full number are shown with the scope orders:write only.",
    answer=OrderOut,
    problems=(404,),
)
def read(order_id: str) -> Response:
    caller = current_caller()
    return answer(shown(caller, order_of(caller, order_id)))


@api_v1.get("/orders", provide_automatic_options=False)
@operation(
    id="list_orders",
    summary="List orders, newest first",
    tag="Orders",
    scope=Scope.ORDERS_READ,
    description=(
        "Pages by cursor. Numbers of requisites are masked here; `payment_url` needs the scope orders:write."
    ),
    query=ListOrders,
    answer=OrderList,
    problems=(400, 422),
)
def list_() -> Response:
    caller = current_caller()
    asked = validated_query(ListOrders, request.args)
    narrow = OrderFilter(
        external_id=asked.external_id,
        status=asked.status and asked.status.value,
        direction=asked.direction and asked.direction.value,
        created_from=asked.created_from,
        created_to=asked.created_to,
    )
    found = list_whole_orders(
        Whose(stores=(caller.store.id,)), caller.mode, narrow, asked.limit + 1, after=id_after(asked.cursor)
    )
    page = found[: asked.limit]
    has_more = len(found) > len(page)
    return answer(
        {
            "object": "list",
            "data": [order_object(order, with_link=Scope.ORDERS_WRITE in caller.scopes) for order in page],
            "has_more": has_more,
            "next_cursor": encode_id(page[-1].id) if has_more else None,
        }
    )
