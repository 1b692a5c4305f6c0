"""Transactions: the one commit, and work whose single statement is the whole of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from portal.core.db import (
    after_commit,
    db,
    hot,
    run_in_one_statement,
    run_in_transaction,
    take_time,
    transaction,
)
from portal.core.db.bounded_connection import BoundedConnection, answer_within_s
from portal.reference.models import Currency
from portal.settings import get_settings


@pytest.fixture
def table(committed_db: Flask) -> Iterator[str]:
    with committed_db.app_context():
        with transaction():
            hot("CREATE TABLE scratch (n int PRIMARY KEY)")
        yield "scratch"
        db.session.remove()
        with transaction():
            hot("DROP TABLE scratch")


def rows(table: str) -> list[int]:
    with db.engine.connect() as other:
        return [row[0] for row in other.exec_driver_sql(f"SELECT n FROM {table} ORDER BY n")]


def test_a_single_statement_is_durable_when_it_returns(table: str) -> None:
    def work() -> list[int]:
        hot(f"INSERT INTO {table} VALUES (1)")
        return rows(table)

    assert run_in_one_statement(work) == [1]


def test_a_single_statement_that_fails_leaves_nothing(table: str) -> None:
    with pytest.raises(Exception, match="division by zero"):
        run_in_one_statement(lambda: hot(f"INSERT INTO {table} SELECT 1 UNION ALL SELECT 1 / 0"))
    assert rows(table) == []


def test_a_second_statement_would_not_be_part_of_it_and_is_refused(table: str) -> None:
    def work() -> None:
        hot(f"INSERT INTO {table} VALUES (1)")
        hot(f"INSERT INTO {table} VALUES (2)")

    with pytest.raises(RuntimeError, match="one statement"):
        run_in_one_statement(work)
    assert rows(table) == [1]


def test_it_is_no_part_of_an_open_transaction(table: str) -> None:
    with pytest.raises(RuntimeError, match="part of"), transaction():
        run_in_one_statement(lambda: hot(f"INSERT INTO {table} VALUES (1)"))
    assert rows(table) == []


def test_what_waits_for_the_commit_is_called_once_and_not_after_a_failure(table: str) -> None:
    called: list[str] = []

    def work(value: str) -> None:
        after_commit(lambda: called.append(value))
        hot(f"INSERT INTO {table} VALUES ({value})")

    run_in_one_statement(lambda: work("1"))
    with pytest.raises(Exception, match="duplicate key"):
        run_in_one_statement(lambda: work("1"))
    assert called == ["1"]


def test_the_connection_goes_back_as_it_was(table: str) -> None:
    run_in_one_statement(lambda: hot(f"INSERT INTO {table} VALUES (1)"))
    with pytest.raises(ZeroDivisionError):
        run_in_transaction(lambda: (hot(f"INSERT INTO {table} VALUES (2)"), 1 / 0))
    assert rows(table) == [1]
    assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_an_answer_is_waited_for_in_bounded_time_and_longer_for_work_that_takes_time(table: str) -> None:
    def patience() -> float | None:
        connection = db.session.connection().connection.driver_connection
        assert isinstance(connection, BoundedConnection)
        return connection.answer_within_s

    with transaction():
        usual = patience()
        assert usual == answer_within_s(get_settings())
        take_time()
        assert patience() is None
        assert hot("SHOW statement_timeout")[0]["statement_timeout"] == "0"
    with transaction():
        assert patience() == usual


def test_a_server_that_does_not_answer_is_given_up(table: str) -> None:
    given_up: list[BoundedConnection] = []

    def wait_for_it() -> None:
        connection = db.session.connection().connection.driver_connection
        assert isinstance(connection, BoundedConnection)
        given_up.append(connection)
        connection.answer_within_s = 0.2
        hot("SELECT pg_sleep(5)")

    with pytest.raises(psycopg.OperationalError, match="did not answer in time"), transaction():
        wait_for_it()
    assert given_up[0].closed
    with transaction():
        assert hot("SELECT 1 AS one") == [{"one": 1}]


def _kept(connection: BoundedConnection) -> int:
    return len(connection._kept)


def test_the_same_statement_takes_other_kinds_of_values_and_survives_its_failure(table: str) -> None:
    sql, whole = "SELECT %(a)s::text AS a, %(b)s::jsonb AS b, %(c)s AS c", uuid.UUID(int=7)

    def asked(a: object, b: str | None, c: object) -> dict[str, object]:
        return hot(sql, {"a": a, "b": b, "c": c})[0]

    with transaction():
        for _ in range(4):
            assert asked("1", '{"n": 1}', [1, 2]) == {"a": "1", "b": {"n": 1}, "c": [1, 2]}
            assert asked(None, None, [whole]) == {"a": None, "b": None, "c": [whole]}
            assert asked(whole, "[]", 2**40)["c"] == 2**40
    with pytest.raises(psycopg.errors.InvalidTextRepresentation), transaction():
        asked("1", "{", 1)
    with transaction():
        assert asked("2", "2", True) == {"a": "2", "b": 2, "c": True}


def test_a_column_that_was_renamed_has_its_new_name_in_the_next_answer(table: str) -> None:
    with transaction():
        hot(f"INSERT INTO {table} VALUES (1)")
        assert hot(f"SELECT * FROM {table}", {}) == [{"n": 1}]
        hot(f"ALTER TABLE {table} RENAME n TO m")
        assert hot(f"SELECT * FROM {table}", {}) == [{"m": 1}]
        hot(f"ALTER TABLE {table} RENAME m TO n")


def test_what_a_connection_keeps_to_be_quicker_has_a_bound(table: str) -> None:
    with transaction():
        hot("SELECT 0 AS n")
        connection = db.session.connection().connection.driver_connection
        assert isinstance(connection, BoundedConnection)
        before = _kept(connection)
        assert len(hot("SELECT generate_series(1, 1000) AS n", {})) == 1000
        assert _kept(connection) == before
        for number in range(100):
            hot(f"SELECT {number} AS n", {})
        assert _kept(connection) == 40


@pytest.mark.proves("tried A10")
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO heartbeat (role) VALUES ('x')",
        "UPDATE heartbeat SET beat_at = now()",
        "UPDATE heartbeat h SET beat_at = now()",
        "DELETE FROM heartbeat",
        "SELECT 1 FROM heartbeat FOR UPDATE",
        "SELECT 1 FROM heartbeat FOR NO KEY UPDATE SKIP LOCKED",
        "SELECT 1 FROM heartbeat FOR SHARE",
        "SELECT 1 FROM heartbeat\n   FOR KEY SHARE",
        "\nUPDATE heartbeat\n   SET beat_at = now()",
        "WITH x AS (UPDATE heartbeat AS h\n SET beat_at = now() RETURNING role) SELECT * FROM x",
    ],
)
def test_what_changes_or_locks_rows_outside_of_a_transaction_is_refused(
    db_session: object, statement: str
) -> None:
    """It would be rolled back, or its lock be gone, without a word."""
    with pytest.raises(RuntimeError, match="inside transaction"):
        hot(statement)


@pytest.mark.proves("tried A10")
def test_rows_of_the_session_are_written_inside_a_transaction_alone(db_session: object) -> None:
    db.session.add(Currency(code="XTS", exponent=2, name_en="Test", name_ru="Test"))
    with pytest.raises(RuntimeError, match="inside transaction"):
        db.session.flush()
    db.session.rollback()
    for statement in (
        update(Currency).values(exponent=3), delete(Currency), select(Currency).with_for_update(),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="inside transaction"):
            db.session.execute(statement)
