"""`/webhook-endpoints`: the one endpoint a store has in each mode."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from flask import Response, request
from pydantic import Field

from portal.api.answers import answer, no_content
from portal.api.authentication import Caller, current_caller, known_actor
from portal.api.idempotency import call_of, read_key, run_once
from portal.api.operations import operation
from portal.api.strict_json import read_json
from portal.api.v1 import api_v1
from portal.api.validation import Answer, Body, validated
from portal.core.db import run_in_transaction
from portal.core.errors import Conflict, NotFound
from portal.core.idempotency import StoredAnswer
from portal.core.ids import parse_public_id, public_id
from portal.identity.models import Scope
from portal.orders.representation import moment
from portal.webhooks import service
from portal.webhooks.challenge import ask_for_answer
from portal.webhooks.event_types import EVENT_TYPES
from portal.webhooks.models import WebhookEndpoint
from portal.webhooks.queries import find_endpoint
from portal.webhooks.trial_event import send_test_event

# The service refuses other types in words of its own.
EventType = Annotated[str, Field(max_length=64, json_schema_extra={"enum": sorted(EVENT_TYPES)})]


class CreateEndpoint(Body):
    """`event_types` left out means all of them."""

    url: Annotated[str, Field(min_length=8, max_length=2048)]
    """Where to POST to: https, reachable from the internet."""
    event_types: Annotated[list[EventType], Field(min_length=1, max_length=50)] | None = None
    """Only these; all of them without it."""


class EndpointOut(Answer):
    """Where the events of a store are sent, in one mode. Nothing but its challenge is sent until it is `verified`."""

    id: str
    """whe_ and 26 characters."""
    object: Literal["webhook_endpoint"]
    """What this is."""
    mode: Literal["live", "test"]
    """Whose events it gets: of money or of play."""
    url: str
    """Where we POST to."""
    event_types: list[EventType] | None
    """Which events it gets; null for all of them."""
    enabled: bool
    """Whether events are sent."""
    verified: bool
    """Whether it has answered its challenge."""
    disabled_reason: Literal["owner", "failing", "gone"] | None
    """Why none are sent: switched off by you, failing for too long, or gone (410)."""
    failing_since: datetime | None
    """Since when nothing arrived; null while it works."""
    created_at: datetime
    """When it was created."""


class CreatedEndpoint(EndpointOut):
    """As it was created, with the secret that is shown this once."""

    secret: str
    """With which its events are signed. Keep it."""


class TestSent(Answer):
    """`event_id` is the webhook-id of the delivery that follows."""

    object: Literal["test_event"]
    """What this is."""
    event_id: str
    """The `webhook-id` of what follows."""


class EndpointList(Answer):
    object: Literal["list"]
    """What this is."""
    data: list[EndpointOut]
    """None or one."""
    has_more: bool
    """Always false."""
    next_cursor: str | None
    """Always null."""


def _shown(endpoint: WebhookEndpoint, secret: str | None = None) -> dict[str, Any]:
    return {
        "id": public_id("whe", endpoint.id),
        "object": "webhook_endpoint",
        "mode": endpoint.mode,
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "enabled": endpoint.disabled_at is None,
        "verified": endpoint.verified_at is not None,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": moment(endpoint.failing_since),
        "created_at": moment(endpoint.created_at),
    } | ({"secret": secret} if secret else {})


def _endpoint_of(caller: Caller, endpoint_id: str, *, lock: bool = False) -> WebhookEndpoint:
    parsed = parse_public_id("whe", endpoint_id)
    endpoint = find_endpoint(caller.store.id, caller.mode, lock=lock)
    if endpoint is None or endpoint.id != parsed:
        raise NotFound("There is no such webhook endpoint.")
    return endpoint


@api_v1.post("/webhook-endpoints", provide_automatic_options=False)
@operation(
    id="create_webhook_endpoint",
    summary="Create the webhook endpoint",
    tag="Webhooks",
    scope=Scope.WEBHOOKS_WRITE,
    description="A store has one in each mode. Keep the secret of the answer: it is not shown again. The "
    "address is sent a challenge at once, and events once it has given it back.",
    body=CreateEndpoint,
    idempotency="optional",
    status=201,
    answer=CreatedEndpoint,
    problems=(400, 409, 413, 415, 422),
    example={
        "url": "https://shop.example/webhooks/nostro",
        "event_types": ["order.completed", "order.expired"],
    },
)
def create_endpoint() -> Response:
    caller = current_caller()
    key = read_key(required=False)
    asked = validated(CreateEndpoint, read_json(request))
    url = service.check_endpoint_url(asked.url, caller.mode)
    call = None if key is None else call_of(caller, key, asked.model_dump(exclude_none=True))

    def work() -> StoredAnswer:
        if find_endpoint(caller.store.id, caller.mode) is not None:
            raise Conflict("The store has a webhook endpoint in this mode.", code="endpoint_exists")
        endpoint, secret = service.set_endpoint(
            caller.store.id, caller.mode, url, asked.event_types, actor=known_actor()
        )
        return StoredAnswer(201, orjson.dumps(_shown(endpoint, secret)).decode())

    return run_once(call, work)


@api_v1.get("/webhook-endpoints", provide_automatic_options=False)
@operation(
    id="list_webhook_endpoints",
    summary="List the webhook endpoints (none or one)",
    tag="Webhooks",
    scope=Scope.WEBHOOKS_WRITE,
    answer=EndpointList,
)
def list_endpoints() -> Response:
    caller = current_caller()
    endpoint = find_endpoint(caller.store.id, caller.mode)
    data = [] if endpoint is None else [_shown(endpoint)]
    return answer({"object": "list", "data": data, "has_more": False, "next_cursor": None})


@api_v1.get("/webhook-endpoints/<endpoint_id>", provide_automatic_options=False)
@operation(
    id="get_webhook_endpoint",
    summary="Read the webhook endpoint",
    tag="Webhooks",
    scope=Scope.WEBHOOKS_WRITE,
    answer=EndpointOut,
    problems=(404,),
)
def read_endpoint(endpoint_id: str) -> Response:
    return answer(_shown(_endpoint_of(current_caller(), endpoint_id)))


@api_v1.delete("/webhook-endpoints/<endpoint_id>", provide_automatic_options=False)
@operation(
    id="delete_webhook_endpoint",
    summary="Delete the webhook endpoint",
    tag="Webhooks",
    scope=Scope.WEBHOOKS_WRITE,
    description="What was not delivered yet is given up.",
    status=204,
    problems=(404,),
)
def delete_endpoint(endpoint_id: str) -> Response:
    caller = current_caller()
    run_in_transaction(
        lambda: service.delete_endpoint(_endpoint_of(caller, endpoint_id, lock=True), actor=known_actor())
    )
    return no_content()


@api_v1.post("/webhook-endpoints/<endpoint_id>/verify", provide_automatic_options=False)
@operation(
    id="verify_webhook_endpoint",
    summary="Send the challenge again",
    tag="Webhooks",
    scope=Scope.WEBHOOKS_WRITE,
    description="For an endpoint that is not verified yet. It is tried three times by itself; a new one ends the one before.",
    status=202,
    answer=TestSent,
    problems=(404, 409),
)
def verify_endpoint(endpoint_id: str) -> Response:
    caller = current_caller()

    def work() -> dict[str, str]:
        endpoint = _endpoint_of(caller, endpoint_id, lock=True)
        if endpoint.verified_at is not None:
            raise Conflict("The endpoint is verified already.", code="endpoint_verified")
        return {"object": "test_event", "event_id": public_id("evt", ask_for_answer(endpoint).id)}

    return answer(run_in_transaction(work), 202)


@api_v1.post("/webhook-endpoints/<endpoint_id>/test", provide_automatic_options=False)
@operation(
    id="send_test_event",
    summary="Send an endpoint.test event",
    tag="Webhooks",
    scope=Scope.WEBHOOKS_WRITE,
    description="It goes the way of every event: signed, tried again, whatever event_types says.",
    status=202,
    answer=TestSent,
    problems=(404, 409),
)
def test_endpoint(endpoint_id: str) -> Response:
    caller = current_caller()

    def work() -> dict[str, str]:
        event = send_test_event(_endpoint_of(caller, endpoint_id, lock=True))
        return {"object": "test_event", "event_id": public_id("evt", event.id)}

    return answer(run_in_transaction(work), 202)
