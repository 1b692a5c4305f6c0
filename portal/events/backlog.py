"""The outbox as a queue."""

from __future__ import annotations

from portal.core.queues.work_table import WorkTable

# The newest rows are looked at: an hour's rate is not worth an index that every event would pay for.
_OF_LATE = """(
    SELECT (count(*) * 60 / greatest(extract(epoch FROM clock_timestamp() - min(done_at)), 60))::float8
    FROM (SELECT done_at FROM event ORDER BY id DESC LIMIT 5000) n
    WHERE done_at > clock_timestamp() - interval '5 minutes')"""

EVENTS = WorkTable("event", what="type AS what, subject_kind, subject_id", per_minute=_OF_LATE)
