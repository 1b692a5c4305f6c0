"""Connections that the server has ended: no answer is lost by a rollback, and the whole pool is renewed."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from flask import Flask

from portal.core.db import db, hot, is_connection_lost, is_out_of_service, read_rows, release, transaction
from portal.core.db.bounded_connection import BoundedConnection

pytestmark = pytest.mark.races
_END_OTHERS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def end_all_connections() -> None:
    url = db.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as other:
        # Until none is left: a server answers before those that it ends are gone.
        while (ended := other.execute(_END_OTHERS).fetchone()) and ended[0]:
            time.sleep(0.02)


def test_what_was_only_read_is_put_down_without_an_error(committed_db: Flask) -> None:
    assert hot("SELECT 1 AS n") == [{"n": 1}]
    end_all_connections()
    release()
    assert hot("SELECT 2 AS n") == [{"n": 2}]


@pytest.mark.proves("F9")
def test_a_transaction_that_loses_its_connection_says_so_and_can_be_begun_again(committed_db: Flask) -> None:
    def lose_it() -> None:
        with transaction():
            hot("SELECT 1")
            end_all_connections()
            hot("SELECT 2")

    with pytest.raises(psycopg.OperationalError) as lost:
        lose_it()
    assert is_out_of_service(lost.value)
    db.session.rollback()
    with transaction():
        assert hot("SELECT 3 AS n") == [{"n": 3}]


def stand_still_until_ended() -> None:
    """Begin a transaction, and do nothing in it until the server has ended its session."""
    hot("SET idle_in_transaction_session_timeout = '20ms'")
    (mine,) = hot("SELECT pg_backend_pid() AS pid")
    url = db.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as other:
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [mine["pid"]]).fetchone():
            time.sleep(0.02)


@pytest.mark.proves("F29")
def test_what_was_read_is_put_down_without_an_error_when_its_session_was_ended_for_standing_still(
    committed_db: Flask,
) -> None:
    stand_still_until_ended()
    release()
    assert hot("SELECT 2 AS n") == [{"n": 2}]


@pytest.mark.proves("F29")
def test_a_transaction_that_was_ended_for_standing_still_is_out_of_service_and_no_fault_of_the_program(
    committed_db: Flask,
) -> None:
    def lose_it() -> None:
        with transaction():
            stand_still_until_ended()
            hot("SELECT 2")

    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout) as ended:
        lose_it()
    assert is_out_of_service(ended.value)
    assert is_connection_lost(ended.value)
    db.session.rollback()
    with transaction():
        assert hot("SELECT 3 AS n") == [{"n": 3}]


@pytest.mark.proves("F9", "tried C10")
def test_no_request_pays_for_a_restart_that_is_over(committed_db: Flask) -> None:
    """Neither the first one nor one for each connection that the pool had."""
    held = [db.engine.connect() for _ in range(4)]
    for connection in held:
        connection.exec_driver_sql("SELECT 1")
        connection.close()
    end_all_connections()
    assert read_rows("SELECT 1 AS n") == [{"n": 1}]
    end_all_connections()
    with transaction():
        assert hot("SELECT 2 AS n") == [{"n": 2}]
    end_all_connections()
    again = [db.engine.connect() for _ in range(4)]
    for connection in again:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        connection.close()


class Interrupted(BaseException):
    """Not of the driver: as a signal's handler or a lack of memory raises it."""


@pytest.mark.proves("F9")
@pytest.mark.parametrize("is_alone", [True, False])
def test_nobody_gets_a_connection_that_was_left_in_the_middle_of_a_statement(
    committed_db: Flask, monkeypatch: pytest.MonkeyPatch, is_alone: bool
) -> None:
    def leave(_self: BoundedConnection, gen: Generator[Any, Any, Any], *_: object) -> None:
        next(gen)
        raise Interrupted

    def in_transaction() -> None:
        with transaction():
            hot("SELECT 1 AS n")
            monkeypatch.setattr(BoundedConnection, "wait", leave)
            hot("SELECT 2 AS n")

    read_rows("SELECT 0 AS n")
    if is_alone:
        monkeypatch.setattr(BoundedConnection, "wait", leave)
    with pytest.raises(Interrupted):
        read_rows("SELECT 1 AS n") if is_alone else in_transaction()
    monkeypatch.undo()
    release()
    for _ in range(2):
        assert read_rows("SELECT 3 AS n") == [{"n": 3}]
        with transaction():
            assert hot("SELECT 4 AS n") == [{"n": 4}]
