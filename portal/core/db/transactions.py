"""Transactions, of which there is one commit, and the statements that run in them."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import ORMExecuteState, Session

from portal.core.db.bounded_connection import BoundedConnection
from portal.core.db.failures import is_worth_retrying, sqlstate_of
from portal.core.db.session import db
from portal.core.db.statements import changes_or_locks, run_statement
from portal.core.errors import Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_TRIES = 5
# Later than this nothing is tried again: whoever asked would wait for the lock of somebody who hangs.
RETRY_WITHIN_S = 3.0
_NEEDS_TRANSACTION = "Rows are changed and locked inside transaction() alone: who calls this must open one."


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
        connection = cast("BoundedConnection", pooled.driver_connection)
        try:
            connection.autocommit = True
            return run_statement(connection, sql, params)
        finally:
            if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                connection.autocommit = False
            else:
                connection.close()  # gone, or left in the middle: it can't be given to anybody as it was
            pooled.close()


_single: ContextVar[_Single | None] = ContextVar("single_statement", default=None)


def run_in_one_statement(work: Callable[[], T]) -> T:
    """As run_in_transaction, for work that runs at most one statement by hot(): the statement is the whole
    transaction, which saves the round trips of BEGIN and COMMIT.

    It is durable once hot() has returned. Raises RuntimeError on a second statement, and within transaction().
    """
    session = _begun_session()
    if session is not None and session.info.get("depth", 0):
        raise RuntimeError("run_in_one_statement() can't be part of a transaction()")
    return _run_alone(session, work)


def _begun_session() -> Session | None:
    """The session, if anything needed one: making and ending it is three percent of a request that does without."""
    return db.session() if db.session.registry.has() else None


def has_pool() -> bool:
    """Whether each transaction takes a connection of its own; a test's session lives on one, inside a transaction."""
    return True


def _run_alone(session: Session | None, work: Callable[[], T]) -> T:
    if not has_pool():
        return run_in_transaction(work)
    if session is not None and session.in_transaction():
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


@event.listens_for(db.session, "before_flush")
def _refuse_to_flush(session: Session, *_: object) -> None:
    if not session.info.get("depth", 0):
        raise RuntimeError(_NEEDS_TRANSACTION)


@event.listens_for(db.session, "do_orm_execute")
def _refuse_to_change(state: ORMExecuteState) -> None:
    if state.session.info.get("depth", 0):
        return
    locks = state.is_select and getattr(state.statement, "_for_update_arg", None) is not None
    if locks or state.is_update or state.is_delete or state.is_insert:
        raise RuntimeError(_NEEDS_TRANSACTION)


def hot(sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Run one statement of constant text on the session's own connection, prepared by the driver.

    No statement building, no identity map: for reads and for writes on hot paths. Placeholders are %(name)s.
    Raises RuntimeError for a statement that changes or locks rows outside of a transaction(): it would be lost.
    """
    single = _single.get()
    if single is not None:
        return single.run(sql, params)
    if not _state().get("depth", 0) and changes_or_locks(sql):
        raise RuntimeError(_NEEDS_TRANSACTION)
    return run_statement(_driver_connection(), sql, params)


def read_rows(sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """hot() for one reading statement: outside a transaction it is one of its own, without the round trips
    of BEGIN and ROLLBACK, and keeps no connection afterwards.
    """
    session = _begun_session()
    is_alone = _single.get() is None and (
        session is None or not (session.info.get("depth", 0) or session.in_transaction())
    )
    return _run_alone(session, lambda: hot(sql, params)) if is_alone else hot(sql, params)


def read_rows_aside(sql: str) -> list[dict[str, Any]]:
    """read_rows(), also from within run_in_one_statement(), of whose one statement it is no part."""
    token = _single.set(None)
    try:
        return read_rows(sql)
    finally:
        _single.reset(token)


def _driver_connection() -> BoundedConnection:
    """The session's connection as the driver knows it; remembered while a transaction() is open."""
    state = _state()
    if not state.get("depth", 0):
        return cast("BoundedConnection", db.session.connection().connection.dbapi_connection)
    if state.get("driver") is None:
        state["driver"] = db.session.connection().connection.dbapi_connection
    return cast("BoundedConnection", state["driver"])
