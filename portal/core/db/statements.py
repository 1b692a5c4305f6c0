"""Sending one statement of constant text to the server, prepared by the driver."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from portal.core.db.bounded_connection import BoundedConnection
from portal.core.observability.trace import count_query


def run_statement(
    connection: BoundedConnection, sql: str, params: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """The rows it gives; none for a statement that gives none. Placeholders are %(name)s."""
    count_query()
    if params is None:
        return connection.ask(sql.encode(), None)
    numbered, names = _numbered(sql)
    return connection.ask(numbered, [params[name] for name in names])


_CHANGES = re.compile(
    r"\b(INSERT\s+INTO|UPDATE\s+\w+(\s+(AS\s+)?\w+)?\s+SET|DELETE\s+FROM|FOR\s+((NO\s+KEY\s+)?UPDATE|(KEY\s+)?SHARE)|LOCK\s+TABLE)\b"
)


@lru_cache(maxsize=1024)
def changes_or_locks(sql: str) -> bool:
    """Whether the statement's own text changes or locks rows; what the functions do that it calls is not seen."""
    return _CHANGES.search(sql) is not None


_PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement with $1, $2 ... and the names in that order.

    The driver does the same, but anew on each call once a statement has more than 50 parameters.
    """
    names: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        if match[1] is None:
            return "%"
        return f"${names.setdefault(match[1], len(names) + 1)}"

    return _PLACEHOLDER.sub(number, sql).encode(), tuple(names)
