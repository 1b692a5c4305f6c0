"""Who gets the order: every condition of the card, fairness with its bound, and the explanation."""

from __future__ import annotations

from collections import Counter

import pytest

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.matching.ring import RING, RingCursors
from portal.matching.service import preferred_trader
from portal.merchants.queries import TrafficTerms
from portal.merchants.service import set_traffic_rule
from portal.orders.queries import get_match_trace, get_order
from portal.orders.service import confirm_payin, match_waiting_orders
from portal.orders.service.deadlines import free_limits
from portal.reference import configuration as config
from portal.traders.requisites import switch_own
from portal.traders.service import (
    block_trader,
    set_lead_switches,
    set_team_switches,
    set_working,
)
from tests.rows import change
from tests.scene import USDT, Scene, as_trader, counters


@pytest.mark.parametrize(
    "limits",
    [
        {"min_amount": 1600_00}, {"max_amount": 1400_00}, {"day_amount_limit": 1400_00},
        {"window_s": 3600, "window_amount_limit": 1400_00}, {"total_amount_limit": 1400_00}, {"on": False},
    ],
)  # fmt: skip
def test_a_requisite_whose_limits_do_not_allow_the_amount_is_not_taken(
    scene: Scene, limits: dict[str, int]
) -> None:
    scene.requisite(scene.trader(), **limits)
    assert scene.payin().status == "matching"


@pytest.mark.proves("ASVS 4")
@pytest.mark.parametrize(
    "limit",
    [
        {"max_open_orders": 2},
        {"day_count_limit": 2},
        {"day_amount_limit": 3100_00},
        {"total_amount_limit": 3100_00},
        {"window_s": 60, "window_amount_limit": 3100_00},
    ],
)
def test_a_limit_is_reached_and_not_passed(scene: Scene, limit: dict[str, int]) -> None:
    requisite = scene.requisite(scene.trader(), **limit)
    orders = [scene.payin(1500_00 + cents) for cents in range(3)]
    assert [order.status for order in orders] == ["awaiting_payment", "awaiting_payment", "matching"]
    assert counters(requisite)["open_orders"] == 2


def test_every_switch_keeps_orders_away(scene: Scene) -> None:
    trader = scene.trader()
    requisite = scene.requisite(trader)
    off_and_on = (
        (lambda: set_working(trader.id, False), lambda: set_working(trader.id, True)),
        (
            lambda: set_lead_switches(trader.id, payin_on=False, payout_on=True),
            lambda: set_lead_switches(trader.id, payin_on=True, payout_on=True),
        ),
        (
            lambda: set_team_switches(scene.team_id, payin_on=False, payout_on=True),
            lambda: set_team_switches(scene.team_id, payin_on=True, payout_on=True),
        ),
        (
            lambda: switch_own(
                requisite.trader_id, requisite.id, actor=SYSTEM, payin_on=False, payout_on=True
            ),
            lambda: switch_own(
                requisite.trader_id, requisite.id, actor=SYSTEM, payin_on=True, payout_on=True
            ),
        ),
        (lambda: block_trader(trader.id, "test"), lambda: None),
    )
    for number, (off, on) in enumerate(off_and_on):
        with transaction():
            off()
        assert scene.payin(1500_00 + number).status == "matching"
        with transaction():
            on()
    assert counters(requisite)["open_orders"] == 0


def test_a_deposit_that_does_not_cover_the_hold_is_passed_over(scene: Scene) -> None:
    scene.requisite(scene.trader(deposit_minor=15 * USDT))
    order = scene.payin()
    assert order.status == "matching"
    assert get_match_trace(order.id)["fell"]["deposit"] >= 1


def test_two_open_orders_of_one_amount_never_share_a_requisite(scene: Scene) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    first, second = scene.payin(), scene.payin()
    assert (first.status, second.status) == ("awaiting_payment", "matching")
    assert "same_amount" in get_match_trace(second.id)["fell"]
    with transaction():
        confirm_payin(get_order(first.id, lock=True), None, actor=as_trader(trader))
    change("UPDATE orders SET retry_at = now() WHERE id = %(id)s", {"id": second.id})
    assert match_waiting_orders() == 1
    assert get_order(second.id).status == "awaiting_payment"


def test_a_lower_tier_is_served_first(scene: Scene) -> None:
    trader = scene.trader()
    for _ in range(3):
        scene.requisite(trader, tier=5)
    best = scene.requisite(trader, tier=1, max_open_orders=1)
    assert scene.payin(1500_00).requisite_id == best.id
    assert scene.payin(1501_00).requisite_id != best.id


def test_the_bank_asked_for_is_the_bank_given(scene: Scene) -> None:
    scene.requisite(scene.trader())
    assert scene.payin(bank="tbank").status == "matching"
    assert scene.payin(bank="sber").status == "awaiting_payment"


def test_whoever_sits_far_round_the_ring_is_still_found(scene: Scene) -> None:
    trader = scene.trader()
    scene.copies_of(scene.requisite(trader, max_amount=200_00), 139)
    only = scene.requisite(trader)
    order = scene.payin()
    assert order.requisite_id == only.id
    assert get_match_trace(order.id)["fell"].keys() <= {"amount"}


def test_shares_are_in_proportion_to_weight_within_the_stated_bound(scene: Scene) -> None:
    trader = scene.trader(deposit_minor=1_000_000 * USDT)
    weights = {scene.requisite(trader, weight=weight).id: weight for weight in (1, 2, 3)}
    given = Counter(scene.payin(1500_00 + cents).requisite_id for cents in range(40))
    turns = [given[requisite] / weight for requisite, weight in weights.items()]
    assert max(turns) - min(turns) <= 1
    assert sum(given.values()) == 40


def test_the_ring_moves_on_after_as_many_turns_as_the_weight() -> None:
    ring = RingCursors(7)
    assert ring.starts("bucket", 2) == [7, 7]
    ring.advance("bucket", 1, 100, weight=2)
    assert ring.starts("bucket", 2) == [100, 7]
    ring.advance("bucket", 1, 100, weight=2)
    assert ring.starts("bucket", 1) == [101]
    ring.advance("bucket", 1, RING - 1, weight=1)
    assert ring.starts("bucket", 1) == [0]
    assert ring.starts("another", 1) == [7]


def test_a_store_pins_excludes_and_splits_its_traffic(scene: Scene) -> None:
    first, second = scene.trader(), scene.trader()
    scene.requisite(first)
    scene.requisite(second)
    with transaction():
        set_traffic_rule(scene.store_id, first.id, "pin", actor=SYSTEM)
    assert {scene.payin(1500_00 + cents).trader_id for cents in range(4)} == {first.id}
    with transaction():
        set_traffic_rule(scene.store_id, first.id, "exclude", actor=SYSTEM)
    assert {scene.payin(1600_00 + cents).trader_id for cents in range(4)} == {second.id}
    with transaction():
        set_traffic_rule(scene.store_id, first.id, "split", 100, actor=SYSTEM)
    assert {scene.payin(1700_00 + cents).trader_id for cents in range(4)} == {first.id}


def test_a_split_gives_each_its_percent_and_the_same_order_always_the_same_share() -> None:
    from portal.core.ids import new_id

    one, two = new_id(), new_id()
    traffic = TrafficTerms(split=((one, 30), (two, 20)))
    orders = [new_id() for _ in range(4000)]
    shares = Counter(preferred_trader(order, traffic) for order in orders)
    assert 0.26 < shares[one] / 4000 < 0.34
    assert 0.16 < shares[two] / 4000 < 0.24
    assert [preferred_trader(order, traffic) for order in orders[:50]] == [
        preferred_trader(order, traffic) for order in orders[:50]
    ]


def test_what_left_the_window_or_the_day_is_free_again(scene: Scene) -> None:
    requisite = scene.requisite(scene.trader(), window_s=60, window_amount_limit=1600_00, day_count_limit=1)
    order = scene.payin()
    assert scene.payin(1501_00).status == "matching"
    change("UPDATE orders SET window_leaves_at = now() WHERE id = %(id)s", {"id": order.id})
    change("UPDATE requisite SET day = day - 1 WHERE id = %(id)s", {"id": requisite.id})
    assert free_limits(config.get(config.DAY_TIMEZONE)) == 2
    assert counters(requisite)["window_amount"] == counters(requisite)["day_amount"] == 0
    assert scene.payin(1502_00).status == "awaiting_payment"


def test_a_day_never_goes_back_when_midnight_comes_between_two_orders(scene: Scene) -> None:
    requisite = scene.requisite(scene.trader(), day_count_limit=2)
    change(
        "UPDATE requisite SET day = current_date + 1, day_count = 1, day_amount = 5 WHERE id = %(id)s",
        {"id": requisite.id},
    )
    order = scene.payin()
    assert counters(requisite)["day_count"] == 2
    row = hot(
        "SELECT day, current_date + 1 AS tomorrow FROM requisite WHERE id = %(id)s", {"id": requisite.id}
    )[0]
    assert row["day"] == row["tomorrow"] == order.counted_day
    assert scene.payin(1501_00).status == "matching"
