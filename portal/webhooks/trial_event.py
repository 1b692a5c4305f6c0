"""An event that says nothing but that the endpoint can be reached."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from portal.core.db import db
from portal.core.errors import Conflict
from portal.core.ids import new_id, public_id
from portal.events.models import Event
from portal.webhooks.challenge import EndpointUnverified
from portal.webhooks.models import WebhookEndpoint
from portal.webhooks.probes import note_probe

TYPE = "endpoint.test"


def send_test_event(endpoint: WebhookEndpoint) -> Event:
    """Put an `endpoint.test` into the outbox, for an endpoint whose row is locked. Needs transaction().

    It goes the way of every event: signed, tried again, kept. Raises Conflict while the endpoint is
    disabled or unverified, and TooManyProbes.
    """
    if endpoint.disabled_at is not None:
        raise Conflict("The endpoint is disabled; enable it first.", code="endpoint_disabled")
    if endpoint.verified_at is None:
        raise EndpointUnverified("The endpoint has to answer its challenge first.")
    note_probe(endpoint.store_id, endpoint.url)
    last = db.session.scalar(
        select(func.max(Event.version)).where(Event.subject_id == endpoint.id, Event.type == TYPE)
    )
    identity = public_id("whe", endpoint.id)
    data: dict[str, Any] = {"id": identity, "object": "webhook_endpoint", "url": endpoint.url}
    event = Event(
        id=new_id(),
        type=TYPE,
        mode=endpoint.mode,
        store_id=endpoint.store_id,
        subject_kind="webhook_endpoint",
        subject_id=endpoint.id,
        version=(last or 0) + 1,
        data=data,
    )
    db.session.add(event)
    db.session.flush()
    return event
