"""Connections that die while somebody holds them: nothing is left to undo, and nobody gets such a one again."""

from __future__ import annotations

import select
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

from portal.core.db.failures import is_connection_lost


def install(engine: Engine) -> None:
    """Make rollbacks on dead connections harmless, and renew the whole pool when one has died.

    hot() speaks to the driver directly, so the engine does not learn from its errors that a server is gone:
    a rollback then raised instead of the answer that was on its way, and each of the other connections cost
    one more request before it was renewed. A connection that the server has closed while nobody held it is found
    when it is taken out, before anything is sent: no request pays for a restart that is over.
    """
    undo = engine.dialect.do_rollback

    def undo_if_alive(connection: Any) -> None:
        # The pool asks it of each connection that comes back; after a single statement there is nothing to undo.
        driver = getattr(connection, "dbapi_connection", connection)
        status = driver.pgconn.transaction_status
        if status == TransactionStatus.IDLE:
            return
        if status == TransactionStatus.ACTIVE:
            # Left in the middle of a statement: it takes no ROLLBACK, and would fail whoever gets it next.
            driver.close()
            return
        try:
            undo(connection)
        except psycopg.Error as error:
            # The server has rolled back when it lost us, or when it ended what stood still for too long.
            if not connection.closed and not is_connection_lost(error):
                raise

    engine.dialect.do_rollback = undo_if_alive  # type: ignore[method-assign,assignment]
    event.listen(engine, "checkout", _refuse_the_dead)


def _refuse_the_dead(connection: Any, record: Any, _fairy: Any) -> None:
    if connection.closed or _is_hung_up(connection, record.info):
        raise InvalidatePoolError("a connection was lost")


def _is_hung_up(connection: psycopg.Connection[Any], info: dict[str, Any]) -> bool:
    """Whether the other end has closed it. Asks the kernel alone; `info` lives as long as the connection."""
    poller: select.poll | None = info.get("poller")
    if poller is None:
        poller = info["poller"] = select.poll()
        poller.register(connection.fileno(), select.POLLRDHUP)
    return bool(poller.poll(0))
