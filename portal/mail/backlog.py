"""Mail as a queue: what waits, what was given up, and trying that again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from portal.core.db import hot
from portal.core.queues import MOST, Backlog

_BACKLOG = """
SELECT p.depth, p.oldest_s, p.late_s, p.failing,
       (SELECT count(*) FROM mail WHERE state = 'dead') AS dead,
       (SELECT (count(*) / 5.0)::float8 FROM mail
         WHERE state <> 'pending' AND done_at > clock_timestamp() - interval '5 minutes') AS per_minute
FROM (
    SELECT count(*) AS depth, count(*) FILTER (WHERE last_error IS NOT NULL) AS failing,
           coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest_s,
           greatest(coalesce(extract(epoch FROM clock_timestamp() - min(next_at)), 0), 0)::float8 AS late_s
    FROM (SELECT created_at, next_at, last_error FROM mail WHERE state = 'pending'
          ORDER BY next_at LIMIT %(most)s) w
) p
"""
_DEAD = """
SELECT id, kind AS what, attempts, done_at, coalesce(last_error, '') AS error
FROM mail WHERE state = 'dead' ORDER BY done_at DESC LIMIT %(limit)s
"""
_REPLAY = """
UPDATE mail SET state = 'pending', attempts = 0, next_at = clock_timestamp(), done_at = NULL, last_error = NULL
WHERE id IN (
    SELECT id FROM mail WHERE state = 'dead' AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[]))
    ORDER BY done_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
  AND state = 'dead'
RETURNING id
"""
_DUE_AT = "SELECT EXISTS (SELECT 1 FROM mail WHERE state = 'pending' AND next_at <= %(at)s) AS waits"


def backlog() -> Backlog:
    return Backlog(**hot(_BACKLOG, {"most": MOST})[0])


def list_dead(limit: int) -> list[dict[str, Any]]:
    """The mail that was given up, the latest first. To whom it goes is not said."""
    return hot(_DEAD, {"limit": limit})


def replay(ids: Sequence[uuid.UUID] | None, limit: int) -> int:
    """Make these dead mails (or all) pending again; returns how many. Needs transaction()."""
    return len(hot(_REPLAY, {"ids": None if ids is None else list(ids), "limit": limit}))


def has_due(at: datetime) -> bool:
    """Whether something that was due at this moment still waits."""
    return bool(hot(_DUE_AT, {"at": at})[0]["waits"])
