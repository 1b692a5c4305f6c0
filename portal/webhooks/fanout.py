"""From an event to the deliveries it needs."""

from __future__ import annotations

from collections.abc import Sequence

from portal.core.db import hot
from portal.core.ids import new_id
from portal.events.relay import RelayedEvent

_WANTED = """
SELECT v.id AS event_id, e.id AS endpoint_id
FROM event v JOIN webhook_endpoint e ON e.store_id = v.store_id AND e.mode = v.mode
WHERE v.id = ANY(%(events)s::uuid[]) AND e.disabled_at IS NULL AND e.deleted_at IS NULL
  AND (e.event_types IS NULL OR v.type = ANY(e.event_types) OR v.type = 'endpoint.test')
"""

_INSERT = """
INSERT INTO webhook_delivery (id, endpoint_id, event_id)
SELECT * FROM unnest(%(ids)s::uuid[], %(endpoints)s::uuid[], %(events)s::uuid[])
ON CONFLICT (endpoint_id, event_id) DO NOTHING
"""


def create_deliveries(events: Sequence[RelayedEvent]) -> None:
    """One delivery for each event and endpoint that wants it, due at once; twice is the same as once.

    Runs inside the relay's transaction. A disabled endpoint gets none: what it misses can be replayed.
    """
    wanted = hot(_WANTED, {"events": [event.id for event in events]})
    if wanted:
        hot(
            _INSERT,
            {
                "ids": [new_id() for _ in wanted],
                "endpoints": [row["endpoint_id"] for row in wanted],
                "events": [row["event_id"] for row in wanted],
            },
        )
