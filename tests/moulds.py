"""What the verbs made once, made again for somebody else in one statement: what a test needs in nearly every test.

The first time in each process the verbs do it, and their rows are kept as a mould; `tests/test_moulds.py` compares what
comes out of it with what they make.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.core.db import hot

# Counted by triggers; when a row came, the database says itself.
_BY_THE_DATABASE = {"created_at", "at", "ring", "stores", "members", "requisites"}
_COLUMNS = """
SELECT attname AS name FROM pg_attribute
 WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''
"""
_moulds: dict[Hashable, Mould] = {}


@dataclass(frozen=True)
class Mould:
    """Rows as JSON by table, the words in them that are others each time, and the statement that writes them."""

    rows: Mapping[str, list[dict[str, Any]]]
    words: tuple[str, ...]
    statement: str

    def cast(self, *words: object, **changed: Mapping[str, Any]) -> None:
        """Write the rows with these words for the kept ones; `changed` has columns of all rows of a table."""
        text = json.dumps(
            {table: [row | changed.get(table, {}) for row in rows] for table, rows in self.rows.items()}
        )
        for old, new in zip(self.words, words, strict=True):
            text = text.replace(old, str(new))
        hot(self.statement, {"rows": text})


def mould_of(what: Hashable) -> Mould | None:
    """None for the first time: let the verbs make it, and keep it."""
    return _moulds.get(what)


def forget() -> None:
    """What stores, traders and requisites are made with is another after a migration of their defaults."""
    _moulds.clear()


def keep(what: Hashable, made: Sequence[uuid.UUID], beside: Sequence[object] = (), **found_by: str) -> None:
    """What the verbs have made: the rows of these tables whose column is one of the ids, and what was audited of them.

    `cast` takes words for the ids, then for those that stand `beside` them.
    """
    rows, parts = {}, []
    for table, column in (found_by | {"audit_entry": "subject_id"}).items():
        columns = {row["name"] for row in hot(_COLUMNS, {"table": table})} - _BY_THE_DATABASE
        names = ", ".join(sorted(columns))
        sql = f"SELECT to_jsonb(t) AS row FROM (SELECT {names} FROM {table} WHERE {column}::text = ANY (%(ids)s) ORDER BY ctid) t"
        rows[table] = [row["row"] for row in hot(sql, {"ids": [str(one) for one in made]})]
        parts.append(
            f"of_{table} AS (INSERT INTO {table} ({names})"
            f" SELECT {names} FROM jsonb_populate_recordset(NULL::{table}, %(rows)s::jsonb -> '{table}'))"
        )
    words = tuple(str(one) for one in (*made, *beside))
    _moulds[what] = Mould(rows, words, f"WITH {', '.join(parts)} SELECT 1")
