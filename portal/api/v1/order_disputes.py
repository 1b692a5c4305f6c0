"""`/orders/{id}/disputes`: a store says that something is wrong with an order, a payout that did not arrive above all."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import orjson
from flask import Response, request
from pydantic import Field

from portal.api.authentication import current_caller
from portal.api.idempotency import call_of, read_key, run_once
from portal.api.operations import operation
from portal.api.strict_json import read_json
from portal.api.v1 import api_v1
from portal.api.v1.new_orders import amount_of
from portal.api.v1.orders import order_of, shown
from portal.api.v1.orders_answers import OrderOut
from portal.api.validation import Amount, Answer, Body, Filled, validated
from portal.core.actors import ActorKind
from portal.core.errors import Conflict, ValidationFailed
from portal.core.idempotency import StoredAnswer
from portal.core.ids import public_id
from portal.disputes.models import Dispute, DisputeOutcome, DisputeReason
from portal.disputes.service import find_open_dispute, open_dispute
from portal.identity.models import Scope
from portal.orders.models import Status
from portal.orders.record import OrderRecord
from portal.orders.representation import moment
from portal.reference.queries import get_currency


class OpenDispute(Body):
    """`words` are needed for `other`. `amount_claimed`: what you say was sent or received."""

    reason: Annotated[DisputeReason, Field(strict=False)]
    """What is wrong."""
    words: Annotated[Filled, Field(min_length=1, max_length=1000)] | None = None
    """In your own words; needed for the reason `other`."""
    amount_claimed: Amount | None = None
    """What you say was really sent or received."""


class DisputeOut(Answer):
    """A case over an order. `outcome` is null until somebody decides it."""

    id: str
    """dsp_ and 26 characters."""
    object: Literal["dispute"]
    """What this is."""
    order_id: str
    """The order it is over."""
    reason: DisputeReason
    """What is said to be wrong."""
    words: str | None
    """What was written to it."""
    opened_by: ActorKind
    """Who opened it."""
    opened_at: datetime
    """When it was opened."""
    outcome: DisputeOutcome | None
    """What became of the order; null until it is decided."""
    order: OrderOut
    """The order as it is now."""


@api_v1.post("/orders/<order_id>/disputes", provide_automatic_options=False)
@operation(
    id="open_dispute",
    summary="Open a dispute over an order",
    tag="Orders",
    scope=Scope.ORDERS_WRITE,
    description=(
        "The objection to a payout that did not arrive: until its quiet period ends (`confirm_by`). Also over a payin"
        " that waits for its payment or confirmation, or that expired some days ago at most."
    ),
    body=OpenDispute,
    idempotency="required",
    status=201,
    answer=DisputeOut,
    problems=(400, 404, 409, 413, 415, 422, 503),
    example={"reason": "payout_not_received", "words": "The recipient's bank shows nothing."},
)
def open_case(order_id: str) -> Response:
    caller = current_caller()
    key = read_key()
    asked = validated(OpenDispute, read_json(request))
    call = call_of(caller, key or "", asked.model_dump(exclude_none=True))

    def work() -> StoredAnswer:
        order = order_of(caller, order_id, lock=True)
        claimed = _check(order, asked)
        disputed = open_dispute(order, asked.reason, asked.words, claimed, actor=caller.actor)
        case = find_open_dispute(order.id)
        assert case is not None
        return StoredAnswer(201, orjson.dumps(_shown(case, disputed)).decode())

    return run_once(call, work)


def _check(order: OrderRecord, asked: OpenDispute) -> int | None:
    """The claimed amount in fiat minor units. Raises Conflict `dispute_open`, ValidationFailed."""
    if order.status == Status.DISPUTED:
        raise Conflict("There is an open dispute over this order already.", code="dispute_open")
    if asked.reason is DisputeReason.OTHER and asked.words is None:
        raise ValidationFailed.of("words", "required", "Say in a few words what is wrong.")
    if asked.amount_claimed is None:
        return None
    return amount_of(asked.amount_claimed, get_currency(order.currency))


def _shown(case: Dispute, order: OrderRecord) -> dict[str, object]:
    return {
        "id": public_id("dsp", case.id),
        "object": "dispute",
        "order_id": public_id("ord", order.id),
        "reason": case.reason,
        "words": case.words,
        "opened_by": case.opened_by_kind,
        "opened_at": moment(case.opened_at),
        "outcome": case.outcome,
        "order": shown(current_caller(), order),
    }
