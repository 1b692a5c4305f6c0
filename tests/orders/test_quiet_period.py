"""A trader who proves many small payouts with pictures of nothing: silence completes a volume a day, the desk sees the rest."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.core.actors import SYSTEM, Actor
from portal.core.db import hot, transaction
from portal.core.observability import metrics
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import find_open_dispute, open_dispute, open_unconfirmed, resolve_dispute
from portal.ledger.integrity import CHECKS, run_checks
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import accept_payout, act_on_due_orders, claim_payout, confirm_payout
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.traders.models import Trader
from tests.orders.racing import at_once
from tests.orders.test_payin import locked, make_due
from tests.orders.test_payout import attach_proof
from tests.scene import USDT, Scene, as_trader, build_scene

pytestmark = pytest.mark.proves("tried S4")
LARGEST = 19_000_00  # worth 200 units: the most that silence completes at once, and a fifth of a trader's day


@pytest.fixture
def funded(scene: Scene) -> Scene:
    with transaction():
        scene.fund_store(5000 * USDT)
    return scene


@pytest.fixture
def trader(funded: Scene) -> Trader:
    return payer(funded)


def payer(scene: Scene) -> Trader:
    trader = scene.trader()
    scene.requisite(trader)
    return trader


def proven(scene: Scene, trader: Trader, amount_minor: int = LARGEST) -> OrderRecord:
    order = scene.payout(amount_minor)
    with transaction():
        accept_payout(trader.id, order.id, actor=as_trader(trader))
        attach_proof(order)
    return order


def claimed(scene: Scene, trader: Trader, amount_minor: int = LARGEST) -> OrderRecord:
    order = proven(scene, trader, amount_minor)
    with transaction():
        return claim_payout(locked(order), actor=as_trader(trader))


def nobody_objects(order: OrderRecord) -> str:
    make_due(order)
    assert act_on_due_orders(open_case=open_unconfirmed) == 1
    return get_order(order.id).status


def use_up(scene: Scene, trader: Trader) -> None:
    for _ in range(5):
        assert nobody_objects(claimed(scene, trader)) == "completed"


def allow(volume_minor: int) -> None:
    with transaction():
        setting_changes.set_value(config.PAYOUT_SILENCE_TRADER_DAY_MINOR.key, volume_minor, SYSTEM)


def test_beyond_a_traders_day_the_desk_decides(funded: Scene, trader: Trader) -> None:
    use_up(funded, trader)
    order = claimed(funded, trader, 500_00)
    assert nobody_objects(order) == "disputed"
    case = find_open_dispute(order.id)
    assert case is not None
    assert (case.reason, case.opened_by_kind) == ("not_confirmed", "system")
    # What others say completes as before, and another trader has a day of their own.
    with transaction():
        assert confirm_payout(locked(claimed(funded, trader)), actor=funded.merchant).status == "completed"
    assert nobody_objects(claimed(funded, payer(funded))) == "completed"
    assert run_checks((*CHECKS, *ORDER_CHECKS)) == []


def test_what_does_not_fit_leaves_room_for_what_does(funded: Scene, trader: Trader) -> None:
    allow(300 * USDT)
    assert nobody_objects(claimed(funded, trader)) == "completed"
    assert nobody_objects(claimed(funded, trader, 9500_01)) == "disputed"
    assert nobody_objects(claimed(funded, trader, 9500_00)) == "completed"


def test_what_people_have_confirmed_takes_nothing_of_the_day(funded: Scene, trader: Trader) -> None:
    allow(200 * USDT)
    actors: list[Actor] = [funded.merchant, funded.support]
    for actor in actors:
        with transaction():
            confirm_payout(locked(claimed(funded, trader)), actor=actor)
    ran_out = proven(funded, trader)
    assert nobody_objects(ran_out) == "awaiting_confirmation"  # claimed by the system, as its proof is there
    with transaction():
        confirm_payout(locked(ran_out), actor=funded.merchant)
    order = claimed(funded, trader)
    with transaction():
        open_dispute(locked(order), DisputeReason.NOT_RECEIVED, None, None, actor=funded.merchant)
    with transaction():
        resolve_dispute(locked(order), DisputeOutcome.COMPLETED, None, "it came", actor=funded.support)
    assert nobody_objects(claimed(funded, trader)) == "completed"
    assert nobody_objects(claimed(funded, trader)) == "disputed"


def test_a_day_later_silence_completes_again(funded: Scene, trader: Trader) -> None:
    use_up(funded, trader)
    with transaction():
        sql = "SELECT id FROM orders WHERE trader_id = %(id)s AND status = 'completed' ORDER BY id LIMIT 1"
        first = hot(sql, {"id": trader.id})[0]["id"]
        hot("UPDATE orders SET ended_at = ended_at - interval '24 hours' WHERE id = %(id)s", {"id": first})
    assert nobody_objects(claimed(funded, trader)) == "completed"
    assert nobody_objects(claimed(funded, trader)) == "disputed"


def test_an_operator_may_let_silence_complete_nothing(funded: Scene, trader: Trader) -> None:
    allow(0)
    assert nobody_objects(claimed(funded, trader, 500_00)) == "disputed"


@pytest.mark.races
def test_of_two_deadlines_at_once_at_the_edge_silence_completes_one(committed_db: Flask) -> None:
    with transaction():
        scene = build_scene()
        scene.fund_store(5000 * USDT)
    allow(399 * USDT)
    for nth in range(8):
        trader = payer(scene)
        orders = [claimed(scene, trader) for _ in range(2)]
        with transaction():
            for order in orders:
                make_due(order)
        acted = at_once(committed_db, *[lambda: act_on_due_orders(1, open_case=open_unconfirmed)] * 2)
        assert acted == [1, 1], nth
        assert sorted(get_order(order.id).status for order in orders) == ["completed", "disputed"], nth
    with transaction():
        setting_changes.reset(config.PAYOUT_SILENCE_TRADER_DAY_MINOR.key, SYSTEM)


@pytest.mark.races
def test_what_silence_completes_is_counted_once_committed(committed_db: Flask) -> None:
    def told() -> tuple[float, float]:
        read, name = metrics.registry.get_sample_value, "nostro_payouts_silently_completed"
        return (
            read(f"{name}_total", {"mode": "live"}) or 0,
            read(f"{name}_minor_units_total", {"mode": "live", "currency": "USDT"}) or 0,
        )

    with transaction():
        scene = build_scene()
        scene.fund_store(5000 * USDT)
    trader = payer(scene)
    before = told()
    assert nobody_objects(claimed(scene, trader, 9500_00)) == "completed"
    assert nobody_objects(claimed(scene, trader, 19_000_01)) == "disputed"
    with transaction():
        confirm_payout(locked(claimed(scene, trader)), actor=scene.merchant)
    after = told()
    assert (after[0] - before[0], after[1] - before[1]) == (1, 100 * USDT)
