"""What ours is measured against keeps the promises too: else it would be no yardstick."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg import Connection

from bench.world import make_floor

CREATE = "SELECT create_payin(%s, %s, %s, %s, 'x', 1500000, 157894, 4736, 95000000, 0, %s, gen_random_uuid(), '{}', 'body')"


@pytest.fixture
def floor(app: Flask) -> Iterator[Connection[Any]]:
    """The floor's schema and world, in a transaction that is never committed."""
    dsn = app.config["SQLALCHEMY_DATABASE_URI"].replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(dsn) as connection:
        make_floor(connection)
        yield connection
        connection.rollback()


def create(floor: Connection[Any], key: str = "k") -> uuid.UUID:
    order_id, store_id = uuid.uuid4(), uuid.UUID(int=1)
    floor.execute(CREATE, (order_id, store_id, key, key, order_id.bytes))
    return order_id


def confirm(floor: Connection[Any], order_id: uuid.UUID) -> str:
    row = floor.execute(
        "SELECT confirm_payin(%s, o.trader_id, (SELECT min(id) FROM ledger_account WHERE owner_kind = 'store'),"
        " (SELECT id FROM ledger_account WHERE kind = 'revenue'),"
        " (SELECT id FROM ledger_account WHERE owner_kind = 'world' AND kind = 'fiat'), gen_random_uuid(), '{}')"
        " FROM orders o WHERE o.id = %s",
        (order_id, order_id),
    ).fetchone()
    assert row is not None
    return str(row[0])


def count(floor: Connection[Any], sql: str) -> int:
    row = floor.execute(sql.encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_a_payin_of_the_floor_is_matched_held_and_told_once(floor: Connection[Any]) -> None:
    order_id = create(floor)
    create(floor)

    assert floor.execute("SELECT id, status FROM orders").fetchall() == [(order_id, "awaiting_payment")]
    assert count(floor, "SELECT sum(open_orders) FROM requisite") == 1
    assert count(floor, "SELECT sum(balance) FROM ledger_account WHERE kind = 'held'") == 157894
    assert count(floor, "SELECT count(*) FROM event") == 1


def test_a_confirmation_of_the_floor_pays_everybody_once(floor: Connection[Any]) -> None:
    order_id = create(floor)

    assert confirm(floor, order_id) == "completed"
    assert confirm(floor, order_id) == "refused"

    assert count(floor, "SELECT sum(balance) FROM ledger_account WHERE kind = 'held'") == 0
    assert count(floor, "SELECT sum(balance) FROM ledger_account WHERE owner_kind = 'store'") == 157894 - 4736
    assert count(floor, "SELECT count(*) FROM event WHERE type = 'order.completed'") == 1
    sums = "SELECT count(*) FROM (SELECT 1 FROM ledger_posting GROUP BY entry_id, currency HAVING sum(amount) <> 0) s"
    assert count(floor, sums) == 0
    assert count(floor, "SELECT count(*) FROM ledger_posting p JOIN ledger_entry e ON e.id = p.entry_id"
                        " WHERE e.kind = 'payin_completed'") == 7  # fmt: skip
