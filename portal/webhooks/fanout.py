"""From an event to the deliveries it needs."""

from __future__ import annotations

from collections.abc import Sequence

from portal.core.db import hot
from portal.core.ids import new_id
from portal.events.relay import RelayedEvent
from portal.webhooks.challenge import NEVER

_WANTED = """
SELECT v.id AS event_id, e.id AS endpoint_id, e.verified_at IS NOT NULL OR v.type = 'endpoint.verification' AS is_due
FROM event v JOIN webhook_endpoint e ON e.store_id = v.store_id AND e.mode = v.mode
WHERE v.id = ANY(%(events)s::uuid[]) AND e.disabled_at IS NULL AND e.deleted_at IS NULL
  AND (e.event_types IS NULL OR v.type = ANY(e.event_types) OR v.type IN ('endpoint.test', 'endpoint.verification'))
  AND (v.type <> 'endpoint.verification' OR NOT EXISTS (
       SELECT 1 FROM event later WHERE later.store_id = v.store_id AND later.mode = v.mode AND later.id > v.id
          AND later.type = v.type AND later.subject_id = v.subject_id))
"""

_INSERT = """
INSERT INTO webhook_delivery (id, endpoint_id, event_id, next_at)
SELECT n.id, n.endpoint, n.event, CASE WHEN n.is_due OR n.endpoint = ANY(%(verified)s::uuid[]) THEN clock_timestamp() ELSE %(never)s END
FROM unnest(%(ids)s::uuid[], %(endpoints)s::uuid[], %(events)s::uuid[], %(due)s::bool[]) AS n (id, endpoint, event, is_due)
ON CONFLICT (endpoint_id, event_id) DO NOTHING
"""


# Held until the end: an answer that comes meanwhile finds what was written for it.
_VERIFIED = """
SELECT id, verified_at FROM webhook_endpoint WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR SHARE
"""


def create_deliveries(events: Sequence[RelayedEvent]) -> None:
    """One delivery for each event and endpoint that wants it, due at once; twice is the same as once.

    What an endpoint that has not answered its challenge is to be told waits for the answer.
    Runs inside the relay's transaction. A disabled endpoint gets none: what it misses can be replayed.
    """
    wanted = hot(_WANTED, {"events": [event.id for event in events]})
    if wanted:
        waiting = {row["endpoint_id"] for row in wanted if not row["is_due"]}
        asked = hot(_VERIFIED, {"ids": list(waiting)}) if waiting else []
        hot(
            _INSERT,
            {
                "never": NEVER,
                "due": [row["is_due"] for row in wanted],
                "verified": [row["id"] for row in asked if row["verified_at"] is not None],
                "ids": [new_id() for _ in wanted],
                "endpoints": [row["endpoint_id"] for row in wanted],
                "events": [row["event_id"] for row in wanted],
            },
        )
