"""A table whose rows are work, as a queue: what waits, what was given up, trying that again or dismissing it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from portal.core.db import hot
from portal.core.queues import MOST, Backlog


@dataclass(frozen=True, slots=True)
class WorkTable:
    """Rows with `state` (pending, done, dead), `next_at`, `attempts`, `last_error`, `done_at`
    and `dismissed_at`: a dead row with it calls for nobody any more.

    `what` are the columns that say what a dead one was, `per_minute` the expression for how many were done of late.
    All texts are constants of the program.
    """

    name: str
    what: str
    per_minute: str

    def backlog(self) -> Backlog:
        found = hot(
            f"""
            SELECT p.depth, p.oldest_s, p.late_s, p.failing, {self.per_minute} AS per_minute,
                   (SELECT count(*) FROM {self.name} WHERE state = 'dead' AND dismissed_at IS NULL) AS dead
            FROM (
                SELECT count(*) AS depth, count(*) FILTER (WHERE last_error IS NOT NULL) AS failing,
                       coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest_s,
                       greatest(coalesce(extract(epoch FROM clock_timestamp() - min(next_at)), 0), 0)::float8 AS late_s
                FROM (SELECT created_at, next_at, last_error FROM {self.name} WHERE state = 'pending'
                      ORDER BY next_at LIMIT %(most)s) w
            ) p
            """,  # noqa: S608 - constants
            {"most": MOST},
        )
        return Backlog(**found[0])

    def after_clock_set_back(self, by: timedelta) -> None:
        """What was to wait, or is leased, by a time that is now further off waits as long as was meant.

        Needs transaction().
        """
        set_work_back(self.name, by)

    def list_dead(self, limit: int) -> list[dict[str, Any]]:
        """What was given up and not dismissed, the latest first."""
        return hot(
            f"SELECT id, {self.what}, attempts, done_at, coalesce(last_error, '') AS error"  # noqa: S608 - constants
            f" FROM {self.name} WHERE state = 'dead' AND dismissed_at IS NULL ORDER BY done_at DESC LIMIT %(limit)s",
            {"limit": limit},
        )

    def replay(self, ids: Sequence[uuid.UUID] | None, limit: int) -> int:
        """Make these dead ones (or all) pending again; returns how many. Needs transaction()."""
        again = hot(
            f"""
            UPDATE {self.name}
            SET state = 'pending', attempts = 0, next_at = clock_timestamp(), done_at = NULL, last_error = NULL
            WHERE id IN (
                SELECT id FROM {self.name}
                WHERE state = 'dead' AND dismissed_at IS NULL
                  AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[]))
                ORDER BY done_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
              AND state = 'dead'
            RETURNING id
            """,  # noqa: S608 - constants
            {"ids": None if ids is None else list(ids), "limit": limit},
        )
        return len(again)

    def dismiss(self, ids: Sequence[uuid.UUID] | None, limit: int) -> int:
        """Nobody need look at these dead ones (or all) any more; returns how many. Needs transaction()."""
        return dismiss_work(self.name, ids, limit)

    def has_due(self, at: datetime) -> bool:
        """Whether something that was due at this moment still waits."""
        sql = f"SELECT EXISTS (SELECT 1 FROM {self.name} WHERE state = 'pending' AND next_at <= %(at)s) AS waits"  # noqa: S608 - constants
        return bool(hot(sql, {"at": at})[0]["waits"])


def dismiss_work(table: str, ids: Sequence[uuid.UUID] | None, limit: int) -> int:
    """Dismiss dead rows of a table (a constant): these, or all up to `limit`; how many. Needs transaction()."""
    dismissed = hot(
        f"""
        UPDATE {table} SET dismissed_at = clock_timestamp()
        WHERE id IN (
            SELECT id FROM {table}
            WHERE state = 'dead' AND dismissed_at IS NULL
              AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[]))
            ORDER BY done_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
          AND state = 'dead'
        RETURNING id
        """,  # noqa: S608 - a constant
        {"ids": None if ids is None else list(ids), "limit": limit},
    )
    return len(dismissed)


def set_work_back(table: str, by: timedelta) -> None:
    """Move the times of a table's pending rows back with the database's clock. Needs transaction().

    `table` (a constant) has `state`, `next_at` and `lease_until`.
    """
    hot(
        f"""
        UPDATE {table} SET next_at = least(next_at, greatest(next_at - %(by)s, clock_timestamp())),
               lease_until = lease_until - %(by)s
        WHERE state = 'pending' AND (next_at > clock_timestamp() OR lease_until > clock_timestamp() + %(by)s)
        """,  # noqa: S608 - a constant
        {"by": by},
    )
