"""Pages of a list by keyset, cut by the database: one statement for the lines and how many are in each state.

A list is a statement that gives every line with an `id`, and `owners` where it can be ranked; what it can be sorted
by and narrowed to are constant expressions over its columns (as `p`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.core.db import hot

RANK = "rank"


@dataclass(frozen=True, slots=True)
class Page:
    """The asked page: lines behind `after` (the sorted value as text, and the id) if it is given.

    `ranking` are numbers by owner for the sort RANK; who has none counts as 0.
    """

    sort: str
    is_descending: bool = False
    after: tuple[str, uuid.UUID] | None = None
    limit: int = 50
    state: str | None = None
    ranking: Mapping[uuid.UUID, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A list's statement, its sorts (expression and type by name) and its states (condition by name)."""

    lines: str
    sorts: Mapping[str, tuple[str, str]]
    states: Mapping[str, str]

    def page(self, page: Page, values: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """The lines, each with `sort_key` (the sorted value as `after` takes it back), and how many lines there are
        in each state, whichever state was asked for: one statement.
        """
        key, kind = ("coalesce(w.value, 0)", "bigint") if page.sort == RANK else self.sorts[page.sort]
        way, beyond = ("DESC", "<") if page.is_descending else ("ASC", ">")
        ranks = _RANKS if page.sort == RANK else ""
        state = self.states[page.state] if page.state else "true"
        each = ", ".join(f"'{name}', count(*) FILTER (WHERE {is_in})" for name, is_in in self.states.items())
        sql = (
            f"WITH p AS ({self.lines}), shown AS (SELECT p.*, ({key})::text AS sort_key FROM p {ranks}"  # noqa: S608 - constant texts
            f" WHERE ({state})"
            f" AND (%(after_id)s::uuid IS NULL OR ({key}, p.id) {beyond} (%(after)s::{kind}, %(after_id)s::uuid))"
            f" ORDER BY {key} {way}, p.id {way} LIMIT %(limit)s)"
            f" SELECT shown.*, c.state_counts FROM (SELECT jsonb_build_object({each}) AS state_counts FROM p) c"
            " LEFT JOIN shown ON true"
        )
        asked: dict[str, Any] = {
            "limit": page.limit, "after": page.after[0] if page.after else None,
            "after_id": page.after[1] if page.after else None,
        }  # fmt: skip
        if page.sort == RANK:
            asked |= {"ranked": list(page.ranking), "ranks": list(page.ranking.values())}
        rows = hot(sql, {**values, **asked})
        counts: dict[str, int] = rows[0]["state_counts"]
        for row in rows:
            del row["state_counts"]
        return [row for row in rows if row["id"] is not None], counts


_RANKS = """LEFT JOIN (
  SELECT o.id, sum(k.value)::bigint AS value FROM (SELECT p.id, unnest(p.owners) AS owner FROM p) o
    JOIN unnest(%(ranked)s::uuid[], %(ranks)s::bigint[]) AS k(id, value) ON k.id = o.owner GROUP BY o.id) w ON w.id = p.id"""
