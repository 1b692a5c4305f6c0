"""Pages of a list by keyset, cut by the database, whose time does not grow with the table.

A list names the table of its lines (as `b`). What it can be narrowed to are conditions over `b`, what it can be sorted
by an indexed expression over `b`, or numbers that few lines have. Only then the page's lines are read in full. All
texts are constants of the program.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from portal.core.cursors import value_as
from portal.core.db import hot

RANK = "rank"
# How many are in a state is counted so far: COUNTED_TO + 1 means more.
COUNTED_TO = 5_000


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
class Key:
    """A sort by an expression over `b`, of this type (one that `value_as` knows); there should be an index of it and
    the id. `join` brings what else the expression needs, and costs as much as there are lines.
    """

    expression: str
    kind: str
    join: str = ""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A sort by what this statement of (id, value) says; lines that are not in it have 0."""

    statement: str


@dataclass(frozen=True, slots=True)
class State:
    """A condition over `b`. `counted` gives a row for each line in it, where that asks less than the condition."""

    condition: str
    counted: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list. `found`: the ids of lines that have the words %(like)s. `lines`: the page in full, from `picked` (id,
    sort_value). `owned`: (id, value) of lines, from those of their owners in `ranking` (id, value).
    """

    table: str
    lines: str
    sorts: Mapping[str, Key | Numbers]
    states: Mapping[str, State]
    found: str
    owned: str = "SELECT id, value FROM ranking"
    where: str = "true"

    def page(
        self, page: Page, values: Mapping[str, Any], *, also: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The lines, each with `sort_key` (the sorted value as `after` takes it back). With `values["like"]`
        those that have the words; `also` are more conditions over `b`. Raises BadCursor when `after` is no value of
        the sort.
        """
        return self._read(page, values, also, self.lines)

    def page_and_counts(
        self, page: Page, values: Mapping[str, Any], *, without: Collection[str] = ()
    ) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """As `page`, and as `counts`: one statement, two for an empty page."""
        counts = self._counts(values, (), without)
        rows = self._read(
            page, values, (), self.lines.replace("SELECT ", f"SELECT ({counts}) AS counts, ", 1)
        )
        if not rows:
            return [], self.counts(values, without=without)
        return [{name: row[name] for name in row if name != "counts"} for row in rows], dict(
            rows[0]["counts"]
        )

    def counts(
        self, values: Mapping[str, Any], *, also: Sequence[str] = (), without: Collection[str] = ()
    ) -> dict[str, int]:
        """How many lines there are in each state but `without`, counted up to COUNTED_TO + 1."""
        sql = self._counts(values, also, without)
        return dict(hot(sql, _used(sql, values))[0]["counts"])

    def _read(
        self, page: Page, values: Mapping[str, Any], also: Sequence[str], lines: str
    ) -> list[dict[str, Any]]:
        state = [self.states[page.state].condition] if page.state else []
        sort = Numbers(self.owned) if page.sort == RANK else self.sorts[page.sort]
        if page.after is not None:
            kind = sort.kind if isinstance(sort, Key) else "bigint"
            page = replace(page, after=(value_as(kind, page.after[0]), page.after[1]))
        conditions = [self.where, *state, *also, *self._worded(values)]
        picked = (
            self._by_key(page, sort, conditions)
            if isinstance(sort, Key)
            else self._by_numbers(page, sort, conditions)
        )
        way = "DESC" if page.is_descending else "ASC"
        sql = f"WITH {picked} {lines} ORDER BY picked.sort_value {way}, picked.id {way}"
        asked: dict[str, Any] = {"limit": page.limit}
        if page.after is not None:
            asked |= {"after": page.after[0], "after_id": page.after[1]}
        if page.sort == RANK:
            asked |= {"ranked": list(page.ranking), "ranks": list(page.ranking.values())}
        return hot(sql, _used(sql, {**values, **asked}))

    def _counts(self, values: Mapping[str, Any], also: Sequence[str], without: Collection[str]) -> str:
        conditions = [self.where, *also]
        states = {name: state for name, state in self.states.items() if name not in without}
        if not self._worded(values):
            each = ", ".join(f"'{name}', {self._counted(s, conditions)}" for name, s in states.items())
            return f"SELECT jsonb_build_object({each}) AS counts"
        each = ", ".join(f"'{name}', count(*) FILTER (WHERE {s.condition})" for name, s in states.items())
        return (
            f"WITH f AS MATERIALIZED (SELECT id FROM ({self.found}) f LIMIT {COUNTED_TO + 1})"  # noqa: S608 - constants
            f" SELECT jsonb_build_object({each}) AS counts FROM f JOIN {self.table} b ON b.id = f.id"
            f" WHERE {_all(conditions)}"
        )

    def _counted(self, state: State, conditions: Sequence[str]) -> str:
        is_whole = list(conditions) == [self.where]
        every = (
            state.counted
            if state.counted and is_whole
            else f"SELECT 1 FROM {self.table} b WHERE {_all([*conditions, state.condition])}"  # noqa: S608 - constants
        )
        return f"(SELECT count(*) FROM ({every} LIMIT {COUNTED_TO + 1}) c)"  # noqa: S608 - constants

    def _worded(self, values: Mapping[str, Any]) -> list[str]:
        return [f"b.id IN ({self.found})"] if values.get("like") else []

    def _by_key(self, page: Page, sort: Key, conditions: Sequence[str]) -> str:
        key, beyond = sort.expression, "<" if page.is_descending else ">"
        way = "DESC" if page.is_descending else "ASC"
        if page.after is not None:
            conditions = [*conditions, f"({key}, b.id) {beyond} (%(after)s::{sort.kind}, %(after_id)s::uuid)"]
        return (
            f"picked AS (SELECT b.id, {key} AS sort_value FROM {self.table} b {sort.join} WHERE {_all(conditions)}"  # noqa: S608 - constants
            f" ORDER BY {key} {way}, b.id {way} LIMIT %(limit)s)"
        )

    def _by_numbers(self, page: Page, sort: Numbers, conditions: Sequence[str]) -> str:
        """Those that have a number, and the others by id: neither looks at all lines."""
        way, beyond = ("DESC", "<") if page.is_descending else ("ASC", ">")
        numbered, others = list(conditions), list(conditions)
        if page.after is not None:
            numbered.append(f"(n.value, b.id) {beyond} (%(after)s::bigint, %(after_id)s::uuid)")
            is_past = int(page.after[0]) > 0
            if not is_past:
                others.append(f"b.id {beyond} %(after_id)s::uuid")
            elif not page.is_descending:
                others.append("false")
        ranking = "ranking AS MATERIALIZED (SELECT * FROM unnest(%(ranked)s::uuid[], %(ranks)s::bigint[]) AS k(id, value)), "
        return (
            f"{ranking if page.sort == RANK else ''}numbers AS MATERIALIZED (SELECT * FROM ({sort.statement}) s WHERE s.value > 0),"  # noqa: S608 - constants
            f" picked AS (SELECT * FROM ((SELECT b.id, n.value AS sort_value FROM numbers n JOIN {self.table} b ON b.id = n.id"
            f" WHERE {_all(numbered)} ORDER BY n.value {way}, b.id {way} LIMIT %(limit)s) UNION ALL"
            f" (SELECT b.id, 0::bigint FROM {self.table} b WHERE {_all(others)}"
            f" AND NOT EXISTS (SELECT 1 FROM numbers n WHERE n.id = b.id) ORDER BY b.id {way} LIMIT %(limit)s)) e"
            f" ORDER BY sort_value {way}, id {way} LIMIT %(limit)s)"
        )


def _all(conditions: Sequence[str]) -> str:
    return " AND ".join(f"({condition})" for condition in conditions)


def _used(sql: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f"%({name})s" in sql}


def words_like(words: str | None) -> str | None:
    """The pattern of LIKE for text in lower case that holds these words; None for none."""
    text = (words or "").strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{text}%" if text else None
