"""Orders that wait for a trader, as a queue."""

from __future__ import annotations

from datetime import datetime

from portal.core.db import hot
from portal.core.queues import MOST, Backlog

_BACKLOG = """
SELECT p.depth, p.oldest_s, p.late_s, 0 AS failing, 0 AS dead, r.per_minute
FROM (
    SELECT count(*) AS depth,
           coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest_s,
           greatest(coalesce(extract(epoch FROM clock_timestamp() - min(retry_at)), 0), 0)::float8 AS late_s
    FROM (SELECT created_at, retry_at FROM orders WHERE retry_at IS NOT NULL ORDER BY retry_at LIMIT %(most)s) w
) p, (
    SELECT (count(*) * 60 / greatest(extract(epoch FROM clock_timestamp() - min(assigned_at)), 60))::float8
           AS per_minute
    FROM (SELECT assigned_at FROM orders ORDER BY id DESC LIMIT 5000) n
    WHERE assigned_at > clock_timestamp() - interval '5 minutes'
) r
"""
_DUE_AT = "SELECT EXISTS (SELECT 1 FROM orders WHERE retry_at <= %(at)s) AS waits"


def backlog() -> Backlog:
    """An order that finds nobody fails by its deadline, so that nothing here is ever dead."""
    return Backlog(**hot(_BACKLOG, {"most": MOST})[0])


def has_due(at: datetime) -> bool:
    """Whether an order that was to be looked at again at this moment still waits."""
    return bool(hot(_DUE_AT, {"at": at})[0]["waits"])
