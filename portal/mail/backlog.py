"""Mail as a queue. To whom a dead one goes is not said."""

from __future__ import annotations

from portal.core.queues.work_table import WorkTable

_OF_LATE = """(
    SELECT (count(*) / 5.0)::float8 FROM mail
    WHERE state <> 'pending' AND done_at > clock_timestamp() - interval '5 minutes')"""

MAIL = WorkTable("mail", what="kind AS what", per_minute=_OF_LATE)
