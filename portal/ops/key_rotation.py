"""Encrypting what is stored anew with the newest field key, while everything goes on.

Nothing remembers how far a rotation came: a value carries the id of its key, so that whoever runs it again,
after an interruption or beside another run, finds what is left. A value is only replaced by its own plain
text under the newest key, and only while it is what was read: a writer in between wins.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from portal.core.crypto import DecryptionFailed, decrypt, encrypt, key_id_of, newest_key_id
from portal.core.db import Base, hot, release, run_in_transaction, take_time, transaction

BATCH = 200
# As `encrypt` and `decrypt` are called for the value: what it is bound to.
Bound = tuple[str, str, uuid.UUID]


@dataclass(frozen=True, slots=True)
class EncryptedColumn:
    """A column that holds what `encrypt` gave. `bound_to` says of a row what its value is bound to.

    `reads` are the columns besides the primary key that this needs.
    """

    table: str
    column: str
    bound_to: Callable[[Mapping[str, Any]], Bound]
    reads: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of a rotation did: values replaced, values that no configured key opens."""

    replaced: int
    refused: tuple[str, ...]


def count_by_key(column: EncryptedColumn) -> dict[str, int]:
    """How many values each key has encrypted. Reads the whole table."""
    sql = (
        f"SELECT convert_from(substring({column.column} FROM 1 FOR position('\\x00'::bytea IN {column.column}) - 1),"  # noqa: S608
        f" 'LATIN1') AS key_id, count(*) AS values FROM {column.table}"
        f" WHERE {column.column} IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    with transaction():
        take_time()
        return {row["key_id"]: row["values"] for row in hot(sql)}


def rotate(column: EncryptedColumn, *, batch: int = BATCH) -> Iterator[Batch]:
    """Encrypt the column's values with the newest key, `batch` at a time, each in a transaction of its own.

    Walks along the primary key once. Locks the rows of a batch for its UPDATE alone. What was written with
    an older key behind the walk is found by the next run.
    """
    after: Mapping[str, Any] | None = None
    while True:
        rows = _read(column, after, batch)
        if not rows:
            return
        after = rows[-1]
        fresh, refused = _sealed_anew(column, rows)
        yield Batch(run_in_transaction(lambda fresh=fresh: _replace(column, fresh)), refused)  # type: ignore[misc]
        release()


def sample(column: EncryptedColumn, limit: int) -> tuple[int, tuple[str, ...]]:
    """Decrypt the newest values: how many were opened, and why others were not."""
    with transaction():
        rows = hot(f"{_select(column)} ORDER BY {_keys(column)} DESC LIMIT %(limit)s", {"limit": limit})
    failures = [failure for row in rows if (failure := _why_not(column, row))]
    return len(rows) - len(failures), tuple(failures)


def _table(column: EncryptedColumn) -> Table:
    return Base.metadata.tables[column.table]


def _keys(column: EncryptedColumn) -> str:
    return ", ".join(key.name for key in _table(column).primary_key)


def _select(column: EncryptedColumn) -> str:
    names = ", ".join(dict.fromkeys((*[key.name for key in _table(column).primary_key], *column.reads)))
    return (
        f"SELECT {names}, {column.column} AS stored FROM {column.table}"  # noqa: S608 - names from the models
        f" WHERE {column.column} IS NOT NULL"
    )


def _read(column: EncryptedColumn, after: Mapping[str, Any] | None, limit: int) -> list[dict[str, Any]]:
    """The next values that are not under the newest key, in the order of the primary key."""
    prefix = newest_key_id().encode() + b"\0"
    sql = f"{_select(column)} AND substring({column.column} FROM 1 FOR {len(prefix)}) <> %(prefix)s"
    params: dict[str, Any] = {"prefix": prefix, "limit": limit}
    if after is not None:
        names = [key.name for key in _table(column).primary_key]
        sql += f" AND ({_keys(column)}) > ({', '.join(f'%({name})s' for name in names)})"
        params |= {name: after[name] for name in names}
    with transaction():
        take_time()  # what is done already is passed over one by one
        return hot(f"{sql} ORDER BY {_keys(column)} LIMIT %(limit)s", params)


def _sealed_anew(
    column: EncryptedColumn, rows: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    fresh, refused = [], []
    for row in rows:
        try:
            bound = column.bound_to(row)
            fresh.append(row | {"fresh": encrypt(*bound, decrypt(*bound, row["stored"]))})
        except DecryptionFailed as error:
            refused.append(_told(column, row, error))
    return fresh, tuple(refused)


def _replace(column: EncryptedColumn, rows: list[dict[str, Any]]) -> int:
    keys = list(_table(column).primary_key)
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    arrays = [f"%(k_{key.name})s::{key.type.compile(dialect)}[]" for key in keys]
    same = " AND ".join(f"t.{key.name} = n.{key.name}" for key in keys)
    sql = (
        f"UPDATE {column.table} t SET {column.column} = n.fresh"  # noqa: S608 - names from the models
        f" FROM unnest({', '.join(arrays)}, %(stored)s::bytea[], %(fresh)s::bytea[])"
        f" AS n ({_keys(column)}, stored, fresh)"
        f" WHERE {same} AND t.{column.column} = n.stored RETURNING 1"
    )
    params: dict[str, Any] = {f"k_{key.name}": [row[key.name] for row in rows] for key in keys}
    return len(hot(sql, params | {name: [row[name] for row in rows] for name in ("stored", "fresh")}))


def _why_not(column: EncryptedColumn, row: Mapping[str, Any]) -> str | None:
    try:
        decrypt(*column.bound_to(row), row["stored"])
    except DecryptionFailed as error:
        return _told(column, row, error)
    return None


def _told(column: EncryptedColumn, row: Mapping[str, Any], error: DecryptionFailed) -> str:
    where = ", ".join(str(row[key.name]) for key in _table(column).primary_key)
    return f"{column.name} of {where} (key {key_id_of(row['stored'])}): {error}"
