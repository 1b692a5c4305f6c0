"""Connections that do not wait for ever: a server that is gone without a word keeps no request.

The server cancels what takes too long, and TCP notices a host that is gone. Neither helps against a server that is
frozen, or a proxy before it that swallows the answer.
"""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

from portal.settings import Settings

T = TypeVar("T")
# What an answer may take beyond the time the server has for the statement: the way, and a slow commit.
MARGIN_S = 2.0
# How often the driver looks up from waiting.
_INTERVAL_S = 0.1


def answer_within_s(settings: Settings) -> float:
    """Seconds after which an answer is not waited for any longer."""
    return settings.db_statement_timeout_ms / 1000 + MARGIN_S


class BoundedConnection(psycopg.Connection[Any]):
    """Closed when an answer takes longer than `answer_within_s` (None waits for ever).

    Raises psycopg.OperationalError then, without a sqlstate: what became of the statement is not known.
    """

    answer_within_s: float | None = None
    usual_answer_within_s: float | None = None

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
