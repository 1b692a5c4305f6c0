"""Connections that die while somebody holds them: nothing is left to undo, and nobody gets such a one again."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError


def install(engine: Engine) -> None:
    """Make rollbacks on dead connections harmless, and renew the whole pool when one has died.

    hot() speaks to the driver directly, so the engine does not learn from its errors that a server is gone:
    a rollback then raised instead of the answer that was on its way, and each of the other connections cost
    one more request before it was renewed.
    """
    undo = engine.dialect.do_rollback

    def undo_if_alive(connection: Any) -> None:
        try:
            undo(connection)
        except psycopg.OperationalError:
            # The server has rolled back when it lost us.
            if not connection.closed:
                raise

    engine.dialect.do_rollback = undo_if_alive  # type: ignore[method-assign,assignment]
    event.listen(engine, "checkout", _refuse_the_dead)


def _refuse_the_dead(connection: Any, _record: Any, _fairy: Any) -> None:
    if connection.closed:
        raise InvalidatePoolError("a connection was lost")
