"""The database itself keeps the ledger's rules, against hand-written SQL too (invariants M1, M3, M4, M12, M13)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from portal.core.db import db

pytestmark = pytest.mark.usefixtures("app")
OPEN = (
    "INSERT INTO ledger_account (owner_kind, owner_id, kind, currency, mode, floor, keeps_balance)"
    " VALUES ('trader', %s, %s, %s, %s, %s, true) RETURNING id"
)
ENTRY = (
    "INSERT INTO ledger_entry (kind, mode, subject_kind, subject_id, actor_kind)"
    " VALUES ('deposit', 'live', 'deposit', %s, 'ops') RETURNING id"
)
TWO = "INSERT INTO ledger_posting (entry_id, account_id, currency, mode, amount) VALUES (%s, %s, %s, 'live', %s), (%s, %s, %s, 'live', %s)"


@pytest.fixture
def raw() -> Iterator[psycopg.Cursor[Any]]:
    """A plain cursor on the test's connection; what it did is rolled back."""
    connection: Any = db.session.connection().connection.dbapi_connection
    with connection.cursor() as cursor:
        yield cursor


def one(cursor: psycopg.Cursor[Any], sql: str, *params: object) -> Any:
    row = cursor.execute(sql, params).fetchone()
    assert row is not None
    return row[0]


def account(
    cursor: psycopg.Cursor[Any], floor: int | None = None, currency: str = "USDT", mode: str = "live"
) -> int:
    return int(one(cursor, OPEN, uuid.uuid4(), "available", currency, mode, floor))


def entry(cursor: psycopg.Cursor[Any]) -> int:
    return int(one(cursor, ENTRY, uuid.uuid4()))


def refused(cursor: psycopg.Cursor[Any], sql: str, *params: object, code: str) -> None:
    cursor.execute("SAVEPOINT attempt")
    with pytest.raises(psycopg.Error) as error:  # noqa: PT012 - deferred checks need the second statement
        cursor.execute(sql, params)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert error.value.sqlstate == code
    cursor.execute("ROLLBACK TO attempt")


def test_a_balanced_entry_moves_both_balances(raw: psycopg.Cursor[Any]) -> None:
    a, b, e = account(raw), account(raw), entry(raw)
    raw.execute(TWO, (e, a, "USDT", 70, e, b, "USDT", -70))
    raw.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert one(raw, "SELECT balance FROM ledger_account WHERE id = %s", a) == 70
    assert one(raw, "SELECT balance_after FROM ledger_posting WHERE account_id = %s", b) == -70


POST = (
    "SELECT ledger_post('deposit', 'live', 'deposit', %s, 0, 'ops', NULL, NULL, NULL,"
    " %s::bigint[], '{USDT,USDT}', '{70,-70}')"
)
SCANS = (
    "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables"
    " WHERE relname IN ('ledger_account', 'ledger_entry', 'ledger_posting')"
)


def test_posting_reads_no_table_from_end_to_end_however_small_it_was_when_planned(
    raw: psycopg.Cursor[Any],
) -> None:
    a, b = account(raw), account(raw)
    raw.execute("DISCARD PLANS")
    before = one(raw, SCANS)
    raw.execute(POST, (uuid.uuid4(), [a, b]))
    raw.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert one(raw, SCANS) == before


def test_an_entry_that_does_not_sum_to_zero_is_refused(raw: psycopg.Cursor[Any]) -> None:
    a, b, e = account(raw), account(raw), entry(raw)
    refused(raw, TWO, e, a, "USDT", 70, e, b, "USDT", -69, code="23514")


def test_an_entry_without_postings_is_refused(raw: psycopg.Cursor[Any]) -> None:
    refused(raw, ENTRY, uuid.uuid4(), code="23514")


def test_currencies_do_not_net_against_each_other(raw: psycopg.Cursor[Any]) -> None:
    a, b, e = account(raw), account(raw, currency="RUB"), entry(raw)
    refused(raw, TWO, e, a, "USDT", 70, e, b, "RUB", -70, code="23514")


def test_one_currency_that_sums_to_zero_does_not_excuse_another(raw: psycopg.Cursor[Any]) -> None:
    a, b, e = account(raw), account(raw), entry(raw)
    roubles = account(raw, currency="RUB")
    refused(
        raw,
        f"{TWO}, (%s, %s, 'RUB', 'live', 5)",
        e,
        a,
        "USDT",
        70,
        e,
        b,
        "USDT",
        -70,
        e,
        roubles,
        code="23514",
    )


@pytest.mark.parametrize("modes", [("test", "test"), ("live", "test")])
def test_postings_of_another_mode_than_their_entry_are_refused(
    raw: psycopg.Cursor[Any], modes: tuple[str, str]
) -> None:
    (a, b), e = (account(raw, mode=mode) for mode in modes), entry(raw)
    sql = "INSERT INTO ledger_posting (entry_id, account_id, currency, mode, amount) VALUES (%s, %s, 'USDT', %s, 70), (%s, %s, 'USDT', %s, -70)"
    refused(raw, sql, e, a, modes[0], e, b, modes[1], code="23514")


def test_a_posting_of_another_currency_or_mode_than_its_account_is_refused(raw: psycopg.Cursor[Any]) -> None:
    a, b, other, e = account(raw), account(raw), account(raw, mode="test"), entry(raw)
    refused(raw, TWO, e, a, "RUB", 70, e, b, "RUB", -70, code="23503")
    refused(raw, TWO, e, a, "USDT", 70, e, other, "USDT", -70, code="23503")


def test_a_balance_below_its_floor_is_refused(raw: psycopg.Cursor[Any]) -> None:
    a, b, e = account(raw, floor=0), account(raw), entry(raw)
    refused(raw, TWO, e, a, "USDT", -1, e, b, "USDT", 1, code="23514")


def test_balanced_postings_can_not_join_an_entry_that_is_sealed(raw: psycopg.Cursor[Any]) -> None:
    a, b, e = account(raw), account(raw), entry(raw)
    raw.execute(TWO, (e, a, "USDT", 70, e, b, "USDT", -70))
    refused(raw, TWO, e, a, "USDT", 5, e, b, "USDT", -5, code="23514")


def test_firing_the_deferred_check_early_opens_no_way_around_it(raw: psycopg.Cursor[Any]) -> None:
    a, b, e = account(raw), account(raw), entry(raw)
    raw.execute(TWO, (e, a, "USDT", 70, e, b, "USDT", -70))
    raw.execute("SET CONSTRAINTS ALL IMMEDIATE")
    single = "INSERT INTO ledger_posting (entry_id, account_id, currency, mode, amount) VALUES (%s, %s, 'USDT', 'live', 77)"
    refused(raw, single, e, a, code="23514")


@pytest.mark.parametrize("table", ["ledger_entry", "ledger_posting"])
@pytest.mark.parametrize("sql", ["UPDATE {} SET mode = mode", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_history_is_never_changed(raw: psycopg.Cursor[Any], table: str, sql: str) -> None:
    a, b, e = account(raw), account(raw), entry(raw)
    raw.execute(TWO, (e, a, "USDT", 70, e, b, "USDT", -70))
    raw.execute("SET CONSTRAINTS ALL IMMEDIATE")
    refused(raw, sql.format(table), code="42501")


def test_a_balance_moves_by_postings_alone(raw: psycopg.Cursor[Any]) -> None:
    a = account(raw)
    refused(raw, "UPDATE ledger_account SET balance = 1000 WHERE id = %s", a, code="42501")
    refused(raw, "UPDATE ledger_account SET currency = 'RUB' WHERE id = %s", a, code="42501")
    refused(raw, "DELETE FROM ledger_account WHERE id = %s", a, code="42501")
    refused(
        raw,
        "INSERT INTO ledger_account (owner_kind, owner_id, kind, currency, mode, keeps_balance, balance) VALUES ('trader', %s, 'available', 'USDT', 'live', true, 5)",
        uuid.uuid4(),
        code="42501",
    )


def test_the_same_event_of_a_subject_is_posted_once(raw: psycopg.Cursor[Any]) -> None:
    a, b, subject = account(raw), account(raw), uuid.uuid4()
    e = int(one(raw, ENTRY, subject))
    raw.execute(TWO, (e, a, "USDT", 70, e, b, "USDT", -70))
    refused(raw, ENTRY, subject, code="23505")
