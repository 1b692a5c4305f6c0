"""The outbox as a queue: what waits, what was given up, and trying that again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from portal.core.db import hot
from portal.core.queues import MOST, Backlog

# The newest rows are looked at: an hour's rate is not worth an index that every event would pay for.
_BACKLOG = """
SELECT p.depth, p.oldest_s, p.late_s, p.failing, r.per_minute,
       (SELECT count(*) FROM event WHERE state = 'dead') AS dead
FROM (
    SELECT count(*) AS depth, count(*) FILTER (WHERE last_error IS NOT NULL) AS failing,
           coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest_s,
           greatest(coalesce(extract(epoch FROM clock_timestamp() - min(next_at)), 0), 0)::float8 AS late_s
    FROM (SELECT created_at, next_at, last_error FROM event WHERE state = 'pending'
          ORDER BY next_at LIMIT %(most)s) w
) p, (
    SELECT (count(*) * 60 / greatest(extract(epoch FROM clock_timestamp() - min(done_at)), 60))::float8 AS per_minute
    FROM (SELECT done_at FROM event ORDER BY id DESC LIMIT 5000) n
    WHERE done_at > clock_timestamp() - interval '5 minutes'
) r
"""
_DEAD = """
SELECT id, type AS what, subject_kind, subject_id, attempts, done_at, coalesce(last_error, '') AS error
FROM event WHERE state = 'dead' ORDER BY done_at DESC LIMIT %(limit)s
"""
_REPLAY = """
UPDATE event SET state = 'pending', attempts = 0, next_at = clock_timestamp(), done_at = NULL, last_error = NULL
WHERE id IN (
    SELECT id FROM event WHERE state = 'dead' AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[]))
    ORDER BY done_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
  AND state = 'dead'
RETURNING id
"""
_DUE_AT = "SELECT EXISTS (SELECT 1 FROM event WHERE state = 'pending' AND next_at <= %(at)s) AS waits"


def backlog() -> Backlog:
    return Backlog(**hot(_BACKLOG, {"most": MOST})[0])


def list_dead(limit: int) -> list[dict[str, Any]]:
    """The events that were given up, the latest first."""
    return hot(_DEAD, {"limit": limit})


def replay(ids: Sequence[uuid.UUID] | None, limit: int) -> int:
    """Make these dead events (or all) pending again; returns how many. Needs transaction()."""
    return len(hot(_REPLAY, {"ids": None if ids is None else list(ids), "limit": limit}))


def has_due(at: datetime) -> bool:
    """Whether something that was due at this moment still waits."""
    return bool(hot(_DUE_AT, {"at": at})[0]["waits"])
