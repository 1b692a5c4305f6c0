"""Deliveries of webhooks as a queue: what waits, what was given up, trying that again or dismissing it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from portal.core.db import hot
from portal.core.queues import MOST, Backlog
from portal.core.queues.work_table import dismiss_work, set_work_back
from portal.webhooks.queries import OLDEST_DUE

# What waits for an endpoint that is off or gone is nobody's work: an event that was on its way when that happened. A
# store's server that is away makes work wait and die: the store's matter, of which it is told. Late is what waits for a
# sound endpoint, and that alone is the sender's doing.
_BACKLOG = f"""
SELECT p.depth, p.oldest_s, (SELECT age_s FROM ({OLDEST_DUE}) d) AS late_s, p.failing, r.per_minute,
       (SELECT count(*) FROM (SELECT 1 FROM webhook_delivery WHERE state = 'dead' AND dismissed_at IS NULL
                              LIMIT %(most)s) d) AS dead
FROM (
    SELECT count(*) AS depth, count(*) FILTER (WHERE attempts > 0) AS failing,
           coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest_s
    FROM (SELECT d.created_at, d.attempts
          FROM webhook_delivery d JOIN webhook_endpoint e ON e.id = d.endpoint_id
          WHERE d.state = 'pending' AND e.disabled_at IS NULL AND e.deleted_at IS NULL LIMIT %(most)s) w
) p, (
    SELECT (count(*) * 60 / greatest(extract(epoch FROM clock_timestamp() - min(at)), 60))::float8 AS per_minute
    FROM (SELECT at FROM webhook_attempt ORDER BY id DESC LIMIT 5000) n
    WHERE at > clock_timestamp() - interval '5 minutes'
) r
"""  # noqa: S608 - constant texts
_DEAD = """
SELECT d.id, v.type AS what, v.subject_kind, v.subject_id, d.attempts, d.done_at, coalesce(a.error, '') AS error
FROM (SELECT id, event_id, attempts, done_at FROM webhook_delivery WHERE state = 'dead' AND dismissed_at IS NULL
      ORDER BY done_at DESC LIMIT %(limit)s) d
JOIN event v ON v.id = d.event_id
LEFT JOIN LATERAL (
    SELECT coalesce(error, 'HTTP ' || status_code) AS error FROM webhook_attempt
    WHERE delivery_id = d.id ORDER BY id DESC LIMIT 1) a ON true
ORDER BY d.done_at DESC
"""
_REPLAY = """
UPDATE webhook_delivery SET state = 'pending', attempts = 0, next_at = clock_timestamp(), done_at = NULL
WHERE id IN (
    SELECT d.id FROM webhook_delivery d JOIN webhook_endpoint e ON e.id = d.endpoint_id
    WHERE d.state = 'dead' AND d.dismissed_at IS NULL
      AND e.disabled_at IS NULL AND e.deleted_at IS NULL AND e.verified_at IS NOT NULL
      AND (%(ids)s::uuid[] IS NULL OR d.id = ANY(%(ids)s::uuid[]))
    ORDER BY d.done_at LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED)
  AND state = 'dead'
RETURNING id
"""
_DUE_AT = """
SELECT EXISTS (
    SELECT 1 FROM webhook_delivery d JOIN webhook_endpoint e ON e.id = d.endpoint_id
    WHERE d.state = 'pending' AND d.next_at <= %(at)s AND e.disabled_at IS NULL AND e.deleted_at IS NULL) AS waits
"""


def backlog() -> Backlog:
    return Backlog(**hot(_BACKLOG, {"most": MOST})[0])


def after_clock_set_back(by: timedelta) -> None:
    """Deliveries wait as long as was meant when the database's clock was set back. Needs transaction()."""
    set_work_back("webhook_delivery", by)


def list_dead(limit: int) -> list[dict[str, Any]]:
    """The deliveries that were given up, the latest first, each with why its last attempt failed."""
    return hot(_DEAD, {"limit": limit})


def replay(ids: Sequence[uuid.UUID] | None, limit: int) -> int:
    """Make these dead deliveries (or all) pending again; returns how many. Needs transaction().

    Those of an endpoint that is switched off stay dead: they would die at once.
    """
    return len(hot(_REPLAY, {"ids": None if ids is None else list(ids), "limit": limit}))


def dismiss(ids: Sequence[uuid.UUID] | None, limit: int) -> int:
    """Nobody need look at these dead deliveries (or all) any more; returns how many. Needs transaction()."""
    return dismiss_work("webhook_delivery", ids, limit)


def has_due(at: datetime) -> bool:
    """Whether something that was due at this moment still waits."""
    return bool(hot(_DUE_AT, {"at": at})[0]["waits"])
