"""The invariants find nothing in a sound world, and each finds what breaks it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.orders.integrity.proof import CHECKS
from tests.faults.invariants import ELSEWHERE, OWN, PRODUCT, Connection, Invariant, broken, broken_by
from tests.faults.worlds import all_that_happens

_ORDER = "(SELECT id FROM orders WHERE status = '{0}' AND direction = 'payin' ORDER BY id LIMIT 1)"
COMPLETED, OPEN = _ORDER.format("completed"), _ORDER.format("awaiting_payment")
CANCELLED, DISPUTED = _ORDER.format("cancelled"), _ORDER.format("disputed")
ENTRY_OF = "(SELECT max(id) FROM ledger_entry WHERE subject_id = {0} AND kind LIKE 'payin_%')"
POSTING = "INSERT INTO ledger_posting (account_id, entry_id, currency, mode, amount)"
EVENT = "INSERT INTO event (id, type, mode, store_id, subject_kind, subject_id, version, data) SELECT gen_random_uuid()"

# What is written past the house's guards, for each invariant of our own, by its sentence.
PLANTED = {
    "each hold is taken once and ends once": (
        "INSERT INTO ledger_entry (kind, mode, subject_kind, subject_id, round, actor_kind)"
        f" VALUES ('payin_released', 'live', 'order', {OPEN}, 1, 'system')"
    ),
    "an order that is not completed has moved no money between owners": (
        f"{POSTING} SELECT id, {ENTRY_OF.format(CANCELLED)}, currency, mode, 7 FROM ledger_account"
        " WHERE owner_kind = 'store' AND kind = 'available' AND mode = 'live'"
    ),
    "a completed order pays each party exactly its part": (
        "UPDATE ledger_posting p SET amount = amount + 1 FROM ledger_account a WHERE a.id = p.account_id"
        f" AND a.owner_kind = 'platform' AND p.entry_id = {ENTRY_OF.format(COMPLETED)}"
    ),
    "an order is settled at the rate and fees it was made with": (
        f"UPDATE orders SET rate_micros = rate_micros + 1000 WHERE id = {COMPLETED}"
    ),
    "no payout is completed that nobody took": "UPDATE orders SET trader_id = NULL WHERE direction = 'payout'",
    "money is whole numbers of minor units in every table": (
        "CREATE TABLE planted (fee_minor double precision)"
    ),
    "the guards of ledger and timeline stand": (
        "ALTER TABLE ledger_posting DISABLE TRIGGER ledger_posting_stays"
    ),
    "no posting was added after its entry's transaction": (
        f"{POSTING} SELECT account_id, entry_id, currency, mode, 1 FROM ledger_posting LIMIT 1"
    ),
    "every entry says who made it and what it is about": (
        "INSERT INTO ledger_entry (kind, mode, subject_kind, subject_id, actor_kind)"
        " VALUES ('payin_matched', 'live', 'order', gen_random_uuid(), 'system')"
    ),
    "an order completes in the transaction that settles it": (
        f"UPDATE order_event SET reason = 'later' WHERE order_id = {COMPLETED} AND to_status = 'completed'"
    ),
    "an order ends once": (
        "INSERT INTO order_event (order_id, event, from_status, to_status, actor_kind)"
        f" VALUES ({COMPLETED}, 'cancelled', 'completed', 'cancelled', 'system')"
    ),
    "an order is disputed exactly while a dispute is open": (
        "UPDATE dispute SET outcome = 'completed', decided_at = now() WHERE outcome IS NULL"
    ),
    "no order ran out before its time": (
        "UPDATE orders SET pay_by = pay_by + interval '1 hour' WHERE status = 'expired'"
    ),
    "no deadline was passed over": (
        f"UPDATE orders SET due_at = now() - interval '5 minutes' WHERE id = {OPEN}"
    ),
    "nothing completes by itself with another amount": (
        "UPDATE order_event SET actor_kind = 'system' WHERE to_status = 'completed'"
    ),
    "no requisite is given more than its limits": "UPDATE requisite SET max_open_orders = 1",
    "no requisite waits for the same amount twice": (
        "DROP INDEX uq_orders_requisite_open_amount; DROP TRIGGER orders_frozen ON orders;"
        " UPDATE orders SET amount_minor = 100000 WHERE status LIKE 'awaiting%' AND direction = 'payin';"
        " UPDATE orders SET requisite_id = (SELECT min(requisite_id::text)::uuid FROM orders)"
        " WHERE status LIKE 'awaiting%' AND direction = 'payin'"
    ),
    "no order is with a trader who was never verified": "UPDATE trader SET status = 'pending'",
    "an order never comes back to a requisite that lost it": (
        "INSERT INTO past_assignment (order_id, requisite_id, trader_id, reason)"
        f" SELECT id, requisite_id, trader_id, 'busy' FROM orders WHERE id = {OPEN}"
    ),
    "a store's own number is on one order": (
        f"DROP INDEX uq_orders_external_id; UPDATE orders SET external_id = 'first' WHERE id = {COMPLETED}"
    ),
    "no failure of ours is kept as the answer to a key": (
        "INSERT INTO idempotency_key (store_id, mode, path, key, fingerprint, status, answer)"
        " SELECT id, 'live', '/', 'k', '', 503, '{}' FROM store LIMIT 1"
    ),
    "every step is told as often as it happened": (
        f"DELETE FROM event WHERE type = 'order.cancelled' AND subject_id = {CANCELLED}"
    ),
    "nothing due was left lying": (
        "UPDATE event SET state = 'pending', next_at = now() - interval '5 minutes' WHERE type = 'order.completed'"
    ),
    "every event went to each endpoint that wants it": (
        "DELETE FROM webhook_attempt; DELETE FROM webhook_delivery"
    ),
    "no event tells of what was never committed": (
        f"{EVENT}, 'order.matched', mode, store_id, 'order', gen_random_uuid(), 1, '{{}}' FROM orders LIMIT 1"
    ),
    "deliveries follow their schedule and end as their attempts say": (
        "DELETE FROM webhook_attempt WHERE status_code = 200"
    ),
    "the newest event of an order says how it ended": (
        "UPDATE event SET data = data || '{\"status\": \"expired\"}' WHERE type = 'order.completed'"
    ),
    "what staff did to an order is in the audit log": "DELETE FROM audit_entry WHERE action = 'order.confirmed'",
    "no full number of a card is in the audit log or an event": (
        "UPDATE event SET data = data || '{\"number\": \"4111111111111111\"}' WHERE type = 'order.completed'"
    ),
}  # fmt: skip
CHAIN = {
    "an entry is changed": "UPDATE audit_entry SET reason = 'another' WHERE id = (SELECT min(id) FROM audit_entry)",
    "a link is taken out": "DELETE FROM audit_seal WHERE sequence = 2",
    "an entry is put beside the chain": "INSERT INTO audit_entry (actor_kind, action) VALUES ('system', 'a.b')",
}


@pytest.fixture(scope="module")
def world(_module_app: Flask) -> Iterator[str]:
    """The address of a database in which every kind of thing has happened."""
    with _module_app.app_context():
        all_that_happens()
        with transaction():
            assert hot("SELECT count(DISTINCT status) AS n FROM orders")[0]["n"] >= 6
        yield _module_app.config["SQLALCHEMY_DATABASE_URI"]


@pytest.fixture
def connection(world: str) -> Iterator[Connection]:
    with psycopg.connect(world.replace("+psycopg", "", 1)) as opened:
        yield opened
        opened.rollback()


def plant(connection: Connection, sql: str) -> None:
    """As a superuser who goes past triggers and foreign keys; never committed."""
    connection.execute("SET LOCAL session_replication_role = replica")
    connection.execute(sql.encode())


def test_a_world_in_which_every_kind_of_thing_happened_breaks_nothing(connection: Connection) -> None:
    assert [str(found) for found in broken(connection, at_rest=True)] == []


@pytest.mark.parametrize("invariant", OWN, ids=lambda one: f"{one.number} {one.sentence}")
def test_each_finds_what_breaks_it(connection: Connection, invariant: Invariant) -> None:
    assert broken_by(connection, invariant) is None
    plant(connection, PLANTED[invariant.sentence])
    found = broken_by(connection, invariant)
    assert found is not None
    assert found.count >= 1
    assert (invariant.number, invariant.sentence) in {
        (one.number, one.sentence) for one in broken(connection, at_rest=True)
    }


@pytest.mark.parametrize("what", CHAIN)
def test_the_chain_of_the_audit_log_finds_what_breaks_it(connection: Connection, what: str) -> None:
    plant(connection, CHAIN[what])
    assert [found.number for found in broken(connection)] == ["L2"]


def test_what_the_product_proves_is_reported_under_its_number(connection: Connection) -> None:
    plant(
        connection, f"UPDATE ledger_posting SET amount = amount + 1 WHERE entry_id = {ENTRY_OF.format(OPEN)}"
    )
    assert {"M1", "M2", "M3"} <= {found.number for found in broken(connection)}


def test_work_that_lies_is_a_finding_at_rest_alone(connection: Connection) -> None:
    plant(connection, PLANTED["no deadline was passed over"])
    assert [found.number for found in broken(connection)] == []
    assert [found.number for found in broken(connection, at_rest=True)] == ["S6"]


def test_every_invariant_of_the_list_is_a_query_or_says_where_it_is_shown() -> None:
    assert set(PRODUCT) == {check.name for check in CHECKS}
    numbers = set(PRODUCT.values()) | {one.number for one in OWN} | {"L2"} | set(ELSEWHERE)
    counts = {"M": 18, "S": 8, "R": 6, "I": 9, "J": 6, "W": 6, "L": 3}
    wanted = {f"{letter}{n}" for letter, last in counts.items() for n in range(1, last + 1)}
    assert wanted - numbers == set()
    assert not any(n > 1 for n in Counter(one.sentence for one in OWN).values())
