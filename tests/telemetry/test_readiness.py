"""`/healthz` and `/readyz` (invariant O1; F17, F36)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.core.db import db, hot, transaction
from portal.events import readiness
from portal.orders.service.silences import beat
from tests.scene import build_scene


@pytest.fixture(autouse=True)
def _ask_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(readiness, "KEEP_S", -1.0)
    readiness.forget_answer()
    yield
    readiness.forget_answer()


@pytest.fixture
def site(committed_db: Flask) -> FlaskClient:
    beat(60)
    return committed_db.test_client()


def checks_of(site: FlaskClient, status: int) -> dict[str, str]:
    answer = site.get("/readyz")
    assert answer.status_code == status, answer.text
    assert ("Retry-After" in answer.headers) == (status == 503)
    checks: dict[str, str] = answer.get_json()["checks"]
    return checks


def test_o1_ready_when_the_database_takes_writes_and_the_clock_beats(site: FlaskClient) -> None:
    assert checks_of(site, 200) == {
        "database": "ok",
        "migrations": "ok",
        "outbox": "ok",
        "clock": "ok",
        "queues": "ok",
        "webhooks": "ok",
        "rates": "ok",
    }
    assert hot("SELECT 1 AS one FROM heartbeat WHERE role = 'probe' AND beat_at > now() - interval '5 s'")


def test_o1_not_ready_while_the_database_takes_no_writes(site: FlaskClient) -> None:
    name = db.engine.url.database
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    db.engine.dispose()
    try:
        assert checks_of(site, 503) == {"database": "not writable"}
        assert site.get("/healthz").status_code == 200
    finally:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        db.engine.dispose()
    assert checks_of(site, 200)["database"] == "ok"


def test_o1_not_ready_behind_the_migrations_but_ready_ahead_of_them(site: FlaskClient) -> None:
    (head,) = hot("SELECT version_num FROM alembic_version")

    def stand_at(revision: str) -> None:
        with transaction():
            hot("UPDATE alembic_version SET version_num = %(revision)s", {"revision": revision})

    try:
        stand_at("0004")
        assert checks_of(site, 503)["migrations"] == "behind"
        stand_at("9999_of_the_next_release")
        assert checks_of(site, 200)["migrations"] == "ok"
    finally:
        stand_at(head["version_num"])


def test_f36_not_ready_when_nobody_hands_events_on(site: FlaskClient) -> None:
    with transaction():
        build_scene()
        hot(_AN_EVENT, {"late_s": 61, "attempts": 0})
    assert checks_of(site, 503)["outbox"] == "late"
    with transaction():
        hot("UPDATE event SET state = 'done', done_at = now()")
    assert checks_of(site, 200)["outbox"] == "ok"


def test_a_poisoned_event_that_waits_for_its_next_try_is_not_late(site: FlaskClient) -> None:
    with transaction():
        hot(_AN_EVENT, {"late_s": -200, "attempts": 8})
        hot("UPDATE event SET created_at = now() - interval '1 hour' WHERE state = 'pending'")
    assert checks_of(site, 200)["outbox"] == "ok"


def test_f36_not_ready_when_the_clock_is_silent(site: FlaskClient) -> None:
    with transaction():
        hot("UPDATE heartbeat SET beat_at = now() - interval '31 seconds' WHERE role = 'clock'")
    assert checks_of(site, 503)["clock"] == "silent"


@pytest.mark.proves("F17")
def test_f17_with_all_connections_taken_it_is_alive_and_not_ready(
    site: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = db.engine.pool
    monkeypatch.setattr(pool, "_timeout", 0.1)
    taken = [db.engine.connect() for _ in range(4 - pool.checkedout())]
    try:
        assert checks_of(site, 503) == {"database": "not writable"}
        assert site.get("/healthz").status_code == 200
    finally:
        for connection in taken:
            connection.close()


_AN_EVENT = """
INSERT INTO event (id, type, mode, store_id, subject_kind, subject_id, version, data, next_at, attempts)
VALUES (gen_random_uuid(), 'order.matched', 'live', gen_random_uuid(), 'order', gen_random_uuid(), 1, '{}',
        clock_timestamp() - make_interval(secs => %(late_s)s::int), %(attempts)s::int)
"""
