"""Whatever moves a payin locks in one order: the order, its row of the store's exposure, its requisite, accounts."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from flask import Flask

from portal.core.actors import CUSTOMER, SYSTEM, Actor, ActorKind
from portal.core.db import db, hot, run_in_transaction, transaction
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, resolve_dispute
from portal.ledger.integrity import CHECKS, run_checks
from portal.ops.postgres_programs import conninfo_of
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import cancel_order, confirm_payin, decline_payin
from portal.orders.service.assign import assign_payin
from portal.orders.service.deadlines import act_on_deadline
from portal.reference import setting_changes
from tests.orders.attacker import allow
from tests.orders.racing import at_once, pause_until
from tests.scene import Scene, build_scene

pytestmark = [pytest.mark.races, pytest.mark.proves("ASVS 40", "tried M5")]
Work = Callable[[], Any]
_numbers = itertools.count()


@pytest.fixture
def arena(committed_db: Flask) -> Iterator[Scene]:
    with transaction():
        scene = build_scene()
    yield scene
    with transaction():
        assert run_checks((*CHECKS, *ORDER_CHECKS)) == []
        hot("UPDATE requisite SET payin_on = false, payout_on = false")
        setting_changes.reset("exposure_store_requisites", SYSTEM)


def payin(arena: Scene) -> OrderRecord:
    """Of an amount that no other one has, so that one requisite takes any number of them."""
    order = arena.payin(1500_00 + next(_numbers))
    assert order.status == "awaiting_payment"
    return order


def locked(order: OrderRecord) -> OrderRecord:
    return get_order(order.id, lock=True)


def expired(arena: Scene) -> OrderRecord:
    order = payin(arena)
    with transaction():
        hot("UPDATE orders SET due_at = now() - interval '1 second' WHERE id = %(id)s", {"id": order.id})
    with transaction():
        return act_on_deadline(locked(order))


def confirming(order: OrderRecord) -> Work:
    assert order.trader_id is not None
    receiver = Actor(ActorKind.TRADER, order.trader_id)
    return lambda: confirm_payin(locked(order), None, actor=receiver)


def in_time(arena: Scene) -> tuple[OrderRecord, Work]:
    order = payin(arena)
    return order, confirming(order)


def cancelled(arena: Scene) -> tuple[OrderRecord, Work]:
    order = payin(arena)
    return order, lambda: cancel_order(locked(order), "no", actor=CUSTOMER)


def late(arena: Scene) -> tuple[OrderRecord, Work]:
    order = expired(arena)
    return order, confirming(order)


def reopened(arena: Scene) -> tuple[OrderRecord, Work]:
    order = expired(arena)
    with transaction():
        open_dispute(locked(order), DisputeReason.PAID_LATE, "I paid", None, actor=CUSTOMER)
    return order, lambda: resolve_dispute(
        locked(order), DisputeOutcome.COMPLETED, None, "paid", actor=arena.support
    )


def declined(arena: Scene) -> tuple[OrderRecord, Work]:
    order = payin(arena)
    assert order.trader_id is not None
    with transaction():
        decline_payin(locked(order), "busy", actor=Actor(ActorKind.TRADER, order.trader_id))
    arena.requisite(arena.trader())
    return order, lambda: assign_payin(locked(order), actor=SYSTEM)


@pytest.mark.parametrize("made", [in_time, cancelled, late, reopened, declined])
def test_nothing_of_a_requisite_or_of_accounts_is_held_while_the_exposure_is_waited_for(
    arena: Scene, committed_db: Flask, made: Callable[[Scene], tuple[OrderRecord, Work]]
) -> None:
    arena.requisite(arena.trader())
    order, work = made(arena)
    url = conninfo_of(committed_db.config["SQLALCHEMY_DATABASE_URI"])
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as watcher:
        holder.execute("SELECT 1 FROM exposure WHERE store_id = %s FOR NO KEY UPDATE", [arena.store_id])
        thread = threading.Thread(target=at_once, args=(committed_db, lambda: run_in_transaction(work)))
        thread.start()
        waits = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
        try:
            pause_until(lambda: watcher.execute(waits, [holder.info.backend_pid]).fetchone() is not None)
            for table in ("requisite", "ledger_account"):
                # Raises when a row of it is locked.
                watcher.execute(f"SELECT 1 FROM {table} FOR NO KEY UPDATE NOWAIT")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                watcher.execute("SELECT 1 FROM orders WHERE id = %s FOR UPDATE NOWAIT", [order.id])
        finally:
            holder.rollback()
            thread.join(30)
    with transaction():
        assert get_order(order.id).version > order.version


def deadlocks(app: Flask) -> int:
    """How many the database has ended so far; sessions tell it when they end."""
    db.session.remove()
    db.engine.dispose()
    url = conninfo_of(app.config["SQLALCHEMY_DATABASE_URI"])
    with psycopg.connect(url, autocommit=True) as connection:
        others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        pause_until(lambda: connection.execute(others).fetchone() is None)
        row = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        assert row is not None
        return int(row[0])


def of_one_row(made: list[tuple[OrderRecord, Work]]) -> list[list[Work]]:
    """The works by which of the store's rows of exposure they move."""
    with transaction():
        ids = [order.id for order, _ in made]
        rows = hot("SELECT id, exposure_slot(id) AS slot FROM unnest(%(ids)s::uuid[]) AS id", {"ids": ids})
    slots = {row["id"]: row["slot"] for row in rows}
    return [[work for order, work in made if slots[order.id] == slot] for slot in set(slots.values())]


def test_late_completions_beside_others_of_the_same_store_and_requisite_meet_no_deadlock(
    arena: Scene, committed_db: Flask
) -> None:
    allow(store_requisites=10_000)
    arena.requisite(arena.trader())
    before = deadlocks(committed_db)
    for works in of_one_row(
        [made(arena) for _ in range(12) for made in (late, in_time, reopened, cancelled)]
    ):
        # As many at once as this process has connections.
        for start in range(0, len(works), 4):
            doing = [partial(run_in_transaction, work) for work in works[start : start + 4]]
            results = at_once(committed_db, *doing)
            assert {getattr(result, "status", result) for result in results} <= {"completed", "cancelled"}
    assert deadlocks(committed_db) == before
