"""The database: one session, one commit, and constant SQL on the session's own connection."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import psycopg
from flask_sqlalchemy import SQLAlchemy
from psycopg import RawCursor
from psycopg.rows import dict_row
from psycopg.types.numeric import Int8Dumper
from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session

from portal.core.bounded_connection import BoundedConnection, answer_within_s
from portal.core.errors import Unavailable
from portal.core.trace import count_query
from portal.settings import Settings

# One wire type for every int: otherwise a statement is prepared anew for each mix of small and large values.
psycopg.adapters.register_dumper(int, Int8Dumper)

log = logging.getLogger(__name__)
T = TypeVar("T")

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
# Serialization failure, deadlock, lock timeout: the same transaction may well succeed a moment later.
RETRIED_SQLSTATES = frozenset({"40001", "40P01", "55P03"})
# Unique indexes whose violation only says that a race was lost to a neighbour.
RETRIED_CONSTRAINTS = frozenset({"uq_orders_requisite_open_amount", "pk_idempotency_key"})
MAX_TRIES = 5
_QUERY_CANCELED = "57014"
# Connection lost, no room (disk, memory, connections), shutting down or starting, errors of the system around it.
_OUT_OF_SERVICE = ("08", "53", "57P", "58")
# Later than this nothing is tried again: whoever asked would wait for the lock of somebody who hangs.
RETRY_WITHIN_S = 3.0


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(
    model_class=Base,
    session_options={"expire_on_commit": False, "autoflush": False},
)

if TYPE_CHECKING:
    # The extension makes its base class at run time, where a type checker can't follow.
    class Model(Base):
        __abstract__ = True

        def __init__(self, **values: Any) -> None: ...

else:
    Model = db.Model


def engine_options(settings: Settings) -> dict[str, Any]:
    """Pool and session parameters: bounded waits everywhere, durable commits, UTC."""
    guc = {
        "timezone": "UTC",
        "synchronous_commit": "on",
        "default_transaction_isolation": "read\\ committed",
        "lock_timeout": f"{settings.db_lock_timeout_ms}ms",
        "statement_timeout": f"{settings.db_statement_timeout_ms}ms",
        "idle_in_transaction_session_timeout": f"{settings.db_idle_in_transaction_timeout_s}s",
        # A client that is gone without a word must not keep its locks.
        "client_connection_check_interval": "2s",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
    }
    return {
        "pool_size": settings.db_pool_size,
        "max_overflow": 0,
        "pool_timeout": settings.db_pool_timeout_s,
        "pool_use_lifo": True,
        # Values stay out of the errors' texts.
        "hide_parameters": True,
        "connect_args": {
            "options": " ".join(f"-c {key}={value}" for key, value in guc.items()),
            "prepare_threshold": 2,
            "connect_timeout": 5,
            "application_name": "nostro",
            # Nor may a server that is gone without a word keep a request.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": round(1000 * answer_within_s(settings)),
        },
    }


def _state() -> dict[str, Any]:
    return cast(dict[str, Any], db.session().info)


@contextmanager
def transaction() -> Iterator[None]:
    """Commit at the end or roll back all of it. The only commit there is; a nested use joins the outer one."""
    state = _state()
    if state.get("depth", 0):
        state["depth"] += 1
        try:
            yield
        finally:
            state["depth"] -= 1
        return
    state["depth"] = 1
    state["driver"] = None
    state["after_commit"] = []
    try:
        yield
        db.session.commit()
    except BaseException:
        state["after_commit"] = []
        # When the connection is gone, what failed before says more than that it can't be rolled back.
        with suppress(OperationalError):
            db.session.rollback()
        raise
    finally:
        state["depth"] = 0
        if isinstance(state["driver"], BoundedConnection):
            state["driver"].answer_within_s = state["driver"].usual_answer_within_s
        state["driver"] = None
        callbacks, state["after_commit"] = state["after_commit"], []
    _call_all(callbacks)


def _call_all(callbacks: list[Callable[[], object]]) -> None:
    for callback in callbacks:
        try:
            callback()
        except Exception:
            # A lost nudge costs latency: whatever must happen is a row that was just committed.
            log.warning("a callback after the commit failed", exc_info=True)


def after_commit(callback: Callable[[], object]) -> None:
    """Run once the outermost transaction is durable; dropped with it when it rolls back."""
    single = _single.get()
    if single is not None:
        single.after_commit.append(callback)
        return
    state = _state()
    if not state.get("depth", 0):
        raise RuntimeError("after_commit() belongs inside transaction()")
    state["after_commit"].append(callback)


def take_time() -> None:
    """Let the statements of the present transaction() take as long as they need: for reading a whole history."""
    hot("SET LOCAL statement_timeout = 0")
    connection = _driver_connection()
    if isinstance(connection, BoundedConnection):
        connection.answer_within_s = None


def release() -> None:
    """Give the connection back to the pool (before streaming or waiting)."""
    db.session.remove()


def run_in_transaction(work: Callable[[], T]) -> T:
    """Run `work` in one transaction and again from the start when it lost a race.

    `work` must be free of effects outside the database. Raises Unavailable (503) when the database
    stays busy or the pool stays empty; other errors pass through.
    """

    def once() -> T:
        with transaction():
            return work()

    return _retried(once)


class _Single:
    """A transaction that is one statement: it commits itself, so a second one would not be part of it."""

    __slots__ = ("after_commit", "is_used")

    def __init__(self) -> None:
        self.is_used = False
        self.after_commit: list[Callable[[], object]] = []

    def run(self, sql: str, params: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        if self.is_used:
            raise RuntimeError("run_in_one_statement() allows one statement")
        self.is_used = True
        # Taken for the statement alone: whatever else the work reads may need a connection itself.
        pooled = db.engine.raw_connection()
        connection = cast("psycopg.Connection[Any]", pooled.driver_connection)
        try:
            connection.autocommit = True
            return _run(connection, sql, params)
        finally:
            if not connection.closed:
                connection.autocommit = False
            pooled.close()


_single: ContextVar[_Single | None] = ContextVar("single_statement", default=None)


def run_in_one_statement(work: Callable[[], T]) -> T:
    """As run_in_transaction, for work that runs at most one statement by hot(): the statement is the whole
    transaction, which saves the round trips of BEGIN and COMMIT.

    It is durable once hot() has returned. Raises RuntimeError on a second statement, and within transaction().
    """
    session = db.session()
    if session.info.get("depth", 0):
        raise RuntimeError("run_in_one_statement() can't be part of a transaction()")
    return _run_alone(session, work)


def _run_alone(session: Session, work: Callable[[], T]) -> T:
    if not isinstance(session.get_bind(), Engine):
        return run_in_transaction(work)  # a test's session lives on one connection, inside a transaction
    if session.in_transaction():
        release()  # what was only read holds a connection, and the pool has no second one for this thread

    def once() -> T:
        single = _Single()
        token = _single.set(single)
        try:
            result = work()
        finally:
            _single.reset(token)
        _call_all(single.after_commit)
        return result

    return _retried(once)


def _retried(once: Callable[[], T]) -> T:
    until = time.monotonic() + RETRY_WITHIN_S
    for attempt in range(MAX_TRIES):
        try:
            return once()
        except (DBAPIError, psycopg.Error) as error:
            if not is_worth_retrying(error):
                raise
            log.info("transaction retried", extra={"attempt": attempt + 1, "sqlstate": sqlstate_of(error)})
        except PoolTimeout:
            raise Unavailable("All database connections are busy.") from None
        if time.monotonic() > until:
            break
        time.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311 - jitter, not a secret
    raise Unavailable("The database is busy. Repeat the request with the same Idempotency-Key.")


def _driver_error(error: BaseException) -> psycopg.Error | None:
    origin = error.orig if isinstance(error, DBAPIError) else error
    return origin if isinstance(origin, psycopg.Error) else None


def sqlstate_of(error: BaseException) -> str | None:
    origin = _driver_error(error)
    return origin.sqlstate if origin else None


def constraint_of(error: BaseException) -> str | None:
    """Name of the violated constraint or unique index, if that is what the error is about."""
    origin = _driver_error(error)
    return origin.diag.constraint_name if origin else None


def is_worth_retrying(error: BaseException) -> bool:
    return sqlstate_of(error) in RETRIED_SQLSTATES or constraint_of(error) in RETRIED_CONSTRAINTS


def is_connection_lost(error: BaseException) -> bool:
    """The server is gone or going, which no other statement would survive either."""
    origin = _driver_error(error)
    return isinstance(origin, psycopg.OperationalError) and (origin.sqlstate or "08").startswith(
        ("08", "57P")
    )


def is_out_of_service(error: BaseException) -> bool:
    """The database is away, starting, full, busy or too slow: true for everybody, and over at some time."""
    if isinstance(error, PoolTimeout):
        return True
    origin = _driver_error(error)
    if origin is None:
        return isinstance(error, DBAPIError) and error.connection_invalidated
    state = origin.sqlstate
    if state is None:
        return isinstance(origin, psycopg.OperationalError)
    return state in RETRIED_SQLSTATES or state == _QUERY_CANCELED or state.startswith(_OUT_OF_SERVICE)


def hot(sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Run one statement of constant text on the session's own connection, prepared by the driver.

    For the hot paths only: no statement building, no identity map. Placeholders are %(name)s.
    """
    single = _single.get()
    if single is not None:
        return single.run(sql, params)
    return _run(_driver_connection(), sql, params)


def _run(
    connection: psycopg.Connection[Any], sql: str, params: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    count_query()
    with RawCursor(connection, row_factory=dict_row) as cursor:
        if params is None:
            cursor.execute(sql.encode())
        else:
            numbered, names = _numbered(sql)
            cursor.execute(numbered, [params[name] for name in names])
        result = cursor.pgresult
        # Not cursor.description, which builds an object for every column.
        return cursor.fetchall() if result is not None and result.nfields else []


def look(sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """hot() for one reading statement: outside a transaction it is one of its own, without the round trips
    of BEGIN and ROLLBACK, and keeps no connection afterwards.
    """
    session = db.session()
    is_alone = not session.info.get("depth", 0) and _single.get() is None and not session.in_transaction()
    return _run_alone(session, lambda: hot(sql, params)) if is_alone else hot(sql, params)


def look_aside(sql: str) -> list[dict[str, Any]]:
    """look(), also from within run_in_one_statement(), of whose one statement it is no part."""
    token = _single.set(None)
    try:
        return look(sql)
    finally:
        _single.reset(token)


def _driver_connection() -> psycopg.Connection[Any]:
    """The session's connection as the driver knows it; remembered while a transaction() is open."""
    state = _state()
    if not state.get("depth", 0):
        return cast("psycopg.Connection[Any]", db.session.connection().connection.dbapi_connection)
    if state.get("driver") is None:
        state["driver"] = db.session.connection().connection.dbapi_connection
    return cast("psycopg.Connection[Any]", state["driver"])


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
