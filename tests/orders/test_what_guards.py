"""Guards of orders that nothing else would miss: whose order a locked read gives, what the clock locks, what is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from portal.core.actors import Actor, ActorKind
from portal.core.db import db, hot, transaction
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.orders.models import Status
from portal.orders.queries import get_order, get_order_for_store, get_order_for_trader
from portal.orders.service import act_on_due_orders, confirm_payin
from portal.traders.requisites import switch_own
from tests.scene import Scene, as_trader, build_scene


@pytest.mark.proves("tried C5")
@pytest.mark.parametrize("lock", [False, True])
def test_a_read_gives_nobody_an_order_of_another_whether_it_locks_or_not(scene: Scene, lock: bool) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    with transaction():
        assert get_order_for_store(scene.store_id, Mode.LIVE, order.id, lock=lock).id == order.id
        assert get_order_for_trader(trader.id, order.id, lock=lock).id == order.id
    for stranger in (
        lambda: get_order_for_store(new_id(), Mode.LIVE, order.id, lock=lock),
        lambda: get_order_for_store(scene.store_id, Mode.TEST, order.id, lock=lock),
        lambda: get_order_for_trader(scene.trader().id, order.id, lock=lock),
    ):
        with pytest.raises(NotFound), transaction():
            stranger()


@pytest.fixture
def arena(committed_db: Flask) -> Iterator[Scene]:
    with transaction():
        scene = build_scene()
    yield scene
    with transaction():
        hot("UPDATE requisite SET payin_on = false, payout_on = false")


@pytest.mark.races
@pytest.mark.proves("tried C5")
def test_the_clock_passes_over_an_order_that_somebody_works_on(arena: Scene) -> None:
    """It reads what is due with the row's lock: what it decides by stays so until it is done."""
    arena.requisite(arena.trader())
    order = arena.payin()
    with transaction():
        hot(
            "UPDATE orders SET due_at = now() - interval '1 second' WHERE id = %(id)s",
            {"id": order.id},
        )
    url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM orders WHERE id = %s FOR NO KEY UPDATE", [order.id])
        began = time.monotonic()
        assert act_on_due_orders() == 0
        assert time.monotonic() - began < 2, "it waits for nobody"
        other.rollback()
    assert act_on_due_orders() == 1
    with transaction():
        assert get_order(order.id).status == "expired"


@pytest.mark.proves("tried C6")
@pytest.mark.parametrize("target", [status for status in Status if status is not Status.COMPLETED])
def test_the_database_lets_nothing_become_of_a_completed_order(scene: Scene, target: Status) -> None:
    """Written past the house, into the table itself."""
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    with transaction():
        confirm_payin(get_order(order.id, lock=True), None, actor=as_trader(trader))
    with pytest.raises(Exception, match="completed can not become"), db.session.begin_nested():
        db.session.execute(
            text("UPDATE orders SET status = :status WHERE id = :id"),
            {"status": target.value, "id": order.id},
        )
    assert get_order(order.id).status == "completed"


@pytest.mark.proves("tried C6")
def test_a_traders_switch_of_a_requisite_is_written_down_with_what_it_was(scene: Scene) -> None:
    trader = scene.trader()
    requisite = scene.requisite(trader)
    actor = Actor(ActorKind.TRADER, trader.id)
    with transaction():
        switch_own(trader.id, requisite.id, payin_on=False, payout_on=True, actor=actor)
        switch_own(trader.id, requisite.id, payin_on=False, payout_on=True, actor=actor)
    rows = hot(
        "SELECT action, actor_kind, actor_id, before, after FROM audit_entry"
        " WHERE subject_id = %(id)s AND actor_kind = 'trader' AND action <> 'requisite.added'",
        {"id": str(requisite.id)},
    )
    assert rows == [
        {
            "action": "requisite.switched", "actor_kind": "trader", "actor_id": trader.id,
            "before": {"payin_on": True}, "after": {"payin_on": False},
        }
    ]  # fmt: skip
