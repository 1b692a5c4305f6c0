"""A merchant's endpoint, live or test, shows that it wants to be called: it gives back the challenge that it is sent.

Until then its events are kept as deliveries that are not due, and become due with the right answer. One challenge at a
time: the next ends the one before.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from portal.core.crypto import derived_token
from portal.core.db import db, hot
from portal.core.errors import Conflict
from portal.core.ids import new_id, public_id
from portal.events.models import Event
from portal.webhooks.models import WebhookEndpoint
from portal.webhooks.probes import note_probe

TYPE = "endpoint.verification"
# When what waits for the answer is due: a time that never comes.
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
# What is due after this waits, too: times come nearer when the database's clock was set back.
WAITS_AFTER = datetime(9000, 1, 1, tzinfo=UTC)

_VERIFIED = """
WITH verified AS (
    UPDATE webhook_endpoint e SET verified_at = clock_timestamp()
    FROM unnest(%(ids)s::uuid[], %(urls)s::text[]) AS o (id, url)
    WHERE e.id = o.id AND e.url = o.url AND e.verified_at IS NULL AND e.deleted_at IS NULL
    RETURNING e.id
)
UPDATE webhook_delivery d SET next_at = clock_timestamp() FROM verified
 WHERE d.endpoint_id = verified.id AND d.state = 'pending' AND d.next_at > %(waits_after)s
"""


# It is nobody's work any more: dismissed at once. (A former one that is not relayed yet gets no delivery: fanout.)
_END_FORMER = """
UPDATE webhook_delivery d
   SET state = 'dead', done_at = clock_timestamp(), dismissed_at = clock_timestamp(), lease_until = NULL, lease_token = NULL
  FROM event v
 WHERE d.endpoint_id = %(endpoint)s AND d.state = 'pending' AND v.id = d.event_id AND v.type = %(type)s
"""


class EndpointUnverified(Conflict):
    code, title = "endpoint_unverified", "The endpoint has not answered its challenge yet"


def ask_for_answer(endpoint: WebhookEndpoint) -> Event:
    """Put an `endpoint.verification` into the outbox, for an endpoint whose row is locked. Needs transaction().

    It goes the way of every event: signed, tried again (CHALLENGE_DELAYS_S), kept. What was asked before is not tried
    again, and an answer to it that is under way does not count. Raises TooManyProbes, and Conflict while the endpoint
    is disabled.
    """
    if endpoint.disabled_at is not None:
        raise Conflict("The endpoint is disabled; enable it first.", code="endpoint_disabled")
    note_probe(endpoint.store_id, endpoint.url)
    hot(_END_FORMER, {"endpoint": endpoint.id, "type": TYPE})
    identity = public_id("whe", endpoint.id)
    data: dict[str, Any] = {
        "id": identity, "object": "webhook_endpoint", "url": endpoint.url,
        "challenge": derived_token("webhook_challenge", new_id()),
    }  # fmt: skip
    event = Event(
        id=new_id(), type=TYPE, mode=endpoint.mode, store_id=endpoint.store_id, subject_kind="webhook_endpoint",
        subject_id=endpoint.id, version=1, data=data,
    )  # fmt: skip
    db.session.add(event)
    db.session.flush()
    return event


def is_answered(challenge: str, body: str) -> bool:
    """The answer is the challenge alone, or a JSON object with it under `challenge`."""
    text = body.strip()
    if text == challenge:
        return True
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("challenge") == challenge


def note_answers(answered: Sequence[tuple[uuid.UUID, str]]) -> None:
    """These endpoints (with the address that was asked) gave the challenge back: what waited is due now."""
    if answered:
        ids, urls = zip(*answered, strict=True)
        hot(_VERIFIED, {"ids": list(ids), "urls": list(urls), "waits_after": WAITS_AFTER})
