"""Connections that do not wait for ever, and keep what they learnt of their statements.

A server that is gone without a word keeps no request.
The server cancels what takes too long, and TCP notices a host that is gone. Neither helps against a server that is
frozen, or a proxy before it that swallows the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import Cursor, RawCursor
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import RowMaker, dict_row
from sqlalchemy import Engine, event

from portal.settings import Settings

T = TypeVar("T")
# What an answer may take beyond the time the server has for the statement: the way, and a slow commit.
MARGIN_S = 2.0
# How often the driver looks up from waiting.
_INTERVAL_S = 0.1
_KEPT_CURSORS, _KEPT_ROWS = 40, 20


class _Rows:
    """A row as a dict, as by psycopg's dict_row; names are decoded when they are others than those of the last answer."""

    __slots__ = ("_make", "_names")

    def __init__(self) -> None:
        self._names: list[bytes | None] | None = None
        self._make: RowMaker[dict[str, Any]] | None = None

    def __call__(self, cursor: Cursor[Any]) -> RowMaker[dict[str, Any]]:
        result = cursor.pgresult
        names = [result.fname(at) for at in range(result.nfields)] if result is not None else None
        if self._make is None or not names or names != self._names:
            self._names, self._make = names, dict_row(cursor)
        return self._make


def answer_within_s(settings: Settings) -> float:
    """Seconds after which an answer is not waited for any longer."""
    return settings.db_statement_timeout_ms / 1000 + MARGIN_S


class BoundedConnection(psycopg.Connection[Any]):
    """Closed when an answer takes longer than `answer_within_s` (None waits for ever).

    Raises psycopg.OperationalError then, without a sqlstate: what became of the statement is not known.
    """

    answer_within_s: float | None = None
    usual_answer_within_s: float | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._kept: dict[bytes, RawCursor[dict[str, Any]]] = {}

    def ask(self, statement: bytes, values: Sequence[object] | None) -> list[dict[str, Any]]:
        """The rows that a statement gives, whose placeholders are $1, $2 ...: none where it gives no columns.

        A cursor that runs its statement again knows how to write the values and how to read the columns. It holds
        what it read last: those of long answers are not kept.
        """
        cursor = self._kept.pop(statement, None) or RawCursor(self, row_factory=_Rows())
        cursor.execute(statement, values)
        result = cursor.pgresult
        # Not cursor.description, which builds an object for every column.
        rows = cursor.fetchall() if result is not None and result.nfields else []
        if len(rows) <= _KEPT_ROWS:
            self._kept[statement] = cursor
            if len(self._kept) > _KEPT_CURSORS:
                del self._kept[next(iter(self._kept))]
        return rows

    def wait(self, gen: PQGen[T], interval: float = _INTERVAL_S, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, self.answer_within_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001 - the driver has no other name for it
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from None

    # Both are asked for around every single statement, where nothing is open: then there is nobody to wait for.
    def set_autocommit(self, value: bool) -> None:
        if self.pgconn.transaction_status == TransactionStatus.IDLE:
            self._autocommit = value
        else:
            super().set_autocommit(value)

    def rollback(self) -> None:
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()


def bound_answers(engine: Engine, seconds: float) -> None:
    """Make the connections that this engine opens from now on bounded ones."""

    def connect(_dialect: Any, _record: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        connection = BoundedConnection.connect(*args, **options)
        connection.answer_within_s = connection.usual_answer_within_s = seconds
        return connection

    event.listen(engine, "do_connect", connect)
