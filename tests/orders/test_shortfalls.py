"""A trader who confirms a little less than came, payin by payin: a few a day, then the customer is asked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from portal.core.actors import CUSTOMER, SYSTEM, Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.observability import metrics
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import (
    act_on_due_orders,
    agree_to_amount,
    claim_payin,
    confirm_payin,
    confirm_payin_at_once,
)
from portal.orders.service.amounts import OutsideTolerance
from portal.orders.service.confirm import TooLate, check_not_too_late
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.traders.models import Trader
from tests.orders.racing import at_once
from tests.orders.test_payin import locked, make_due
from tests.rows import change
from tests.scene import Scene, as_trader, build_scene

pytestmark = pytest.mark.proves("tried S3")
SHORT = 1  # of the fiat currency's minor unit: within every tolerance


@pytest.fixture
def trader(scene: Scene) -> Trader:
    trader = scene.trader()
    scene.requisite(trader)
    return trader


def claimed(scene: Scene, nth: int = 0) -> OrderRecord:
    order = scene.payin(1500_00 + 100 * nth)
    with transaction():
        return claim_payin(locked(order), None, actor=CUSTOMER)


def confirmed(order: OrderRecord, by: int, actor: Actor) -> OrderRecord:
    with transaction():
        return confirm_payin(locked(order), order.amount_minor + by, actor=actor)


def use_up(scene: Scene, trader: Trader) -> None:
    for nth in range(5):
        assert confirmed(claimed(scene, nth), -SHORT, as_trader(trader)).status == "completed"


def test_the_sixth_shortfall_of_a_day_asks_the_customer(scene: Scene, trader: Trader) -> None:
    use_up(scene, trader)
    order = confirmed(claimed(scene, 5), -SHORT, as_trader(trader))
    assert (order.status, order.amount_reported_minor) == (
        "awaiting_confirmation",
        order.amount_minor - SHORT,
    )
    # What is not short is as before, for the trader and for others.
    assert confirmed(claimed(scene, 6), SHORT, as_trader(trader)).status == "completed"
    assert confirmed(claimed(scene, 7), 0, as_trader(trader)).status == "completed"
    assert confirmed(claimed(scene, 8), -SHORT, Actor(ActorKind.ADMIN)).status == "completed"
    other = scene.trader()
    change("UPDATE requisite SET payin_on = false WHERE trader_id = %(id)s", {"id": trader.id})
    scene.requisite(other)
    theirs = claimed(scene, 9)
    assert theirs.trader_id == other.id
    assert confirmed(theirs, -SHORT, as_trader(other)).status == "completed"


def test_what_somebody_else_has_agreed_to_is_no_shortfall_on_the_traders_word(
    scene: Scene, trader: Trader
) -> None:
    for nth in range(5):
        order = confirmed(claimed(scene, nth), -500_00, as_trader(trader))
        with transaction():
            agree_to_amount(locked(order), order.amount_minor - 500_00, actor=CUSTOMER)
        assert confirmed(claimed(scene, nth + 10), -SHORT, Actor(ActorKind.SUPPORT)).status == "completed"
    assert confirmed(claimed(scene, 20), -SHORT, as_trader(trader)).status == "completed"


def test_a_day_later_the_traders_word_counts_again(scene: Scene, trader: Trader) -> None:
    use_up(scene, trader)
    with transaction():
        sql = "SELECT id FROM orders WHERE trader_id = %(id)s AND status = 'completed' ORDER BY id LIMIT 1"
        first = hot(sql, {"id": trader.id})[0]["id"]
        hot("UPDATE orders SET ended_at = ended_at - interval '24 hours' WHERE id = %(id)s", {"id": first})
    assert confirmed(claimed(scene, 5), -SHORT, as_trader(trader)).status == "completed"
    assert confirmed(claimed(scene, 6), -SHORT, as_trader(trader)).status == "awaiting_confirmation"


def test_late_ones_are_refused_beyond_the_bound(scene: Scene, trader: Trader) -> None:
    use_up(scene, trader)
    order = scene.payin(1700_00)
    make_due(order)
    act_on_due_orders()
    with pytest.raises(OutsideTolerance):
        confirmed(order, -SHORT, as_trader(trader))
    assert confirmed(order, 0, as_trader(trader)).status == "completed"


def test_an_operator_may_take_the_traders_word_for_nothing_less(scene: Scene, trader: Trader) -> None:
    with transaction():
        setting_changes.set_value(config.TOLERANCE_TRADER_DAY.key, 0, SYSTEM)
    assert confirmed(claimed(scene), -SHORT, as_trader(trader)).status == "awaiting_confirmation"


@pytest.mark.races
def test_of_two_shortfalls_at_once_at_the_edge_one_is_taken(committed_db: Flask) -> None:
    with transaction():
        scene = build_scene()
        setting_changes.set_value(config.TOLERANCE_TRADER_DAY.key, 1, SYSTEM)
    for nth in range(8):
        trader = scene.trader()
        requisite = scene.requisite(trader)
        orders = [claimed(scene, n) for n in range(2)]

        def confirm(order: OrderRecord) -> str:
            def read(**lock: bool) -> OrderRecord:
                return get_order(order.id, **lock)

            done = confirm_payin_at_once(read, order.amount_minor - SHORT, actor=as_trader(trader))  # noqa: B023
            return done.status

        statuses = at_once(committed_db, *[lambda order=order: confirm(order) for order in orders])
        assert sorted(statuses) == ["awaiting_confirmation", "completed"], nth
        with transaction():
            hot("UPDATE requisite SET payin_on = false WHERE id = %(id)s", {"id": requisite.id})
    with transaction():
        setting_changes.reset(config.TOLERANCE_TRADER_DAY.key, SYSTEM)


@pytest.mark.races
def test_shortfalls_that_are_taken_are_counted_once_committed(committed_db: Flask) -> None:
    def told() -> tuple[float, float]:
        read = metrics.registry.get_sample_value
        return (
            read("nostro_shortfalls_accepted_total", {"mode": "live"}) or 0,
            read("nostro_shortfalls_accepted_minor_units_total", {"mode": "live", "currency": "USDT"}) or 0,
        )

    with transaction():
        scene = build_scene()
    trader = scene.trader()
    scene.requisite(trader)
    before = told()
    confirmed(claimed(scene, 0), -95, as_trader(trader))  # 0.95 RUB at 95
    confirmed(claimed(scene, 1), 95, as_trader(trader))
    confirmed(claimed(scene, 2), 0, as_trader(trader))
    confirmed(claimed(scene, 3), -500_00, as_trader(trader))
    after = told()
    assert (after[0] - before[0], after[1] - before[1]) == (1, 10_000)


@pytest.mark.parametrize(
    ("actor", "is_staff"),
    [*((Actor(kind), True) for kind in (ActorKind.SUPPORT, ActorKind.ADMIN, ActorKind.OPS)), (SYSTEM, False)],
)
def test_the_system_alone_has_no_longer_time_than_others_for_what_came_late(
    scene: Scene, trader: Trader, actor: Actor, is_staff: bool
) -> None:
    order = scene.payin(1700_00)
    make_due(order)
    act_on_due_orders()
    late = timedelta(seconds=config.get(config.LATE_COMPLETION_WINDOW_S) + 60)
    with transaction():
        hot(
            "UPDATE orders SET ended_at = ended_at - %(late)s WHERE id = %(id)s",
            {"id": order.id, "late": late},
        )
        if is_staff:
            check_not_too_late(locked(order), config.LATE_COMPLETION_WINDOW_S, actor)
        else:
            with pytest.raises(TooLate):
                check_not_too_late(locked(order), config.LATE_COMPLETION_WINDOW_S, actor)
