"""Who offers, accepts, counts and explains says the same of a requisite as who takes it."""

from __future__ import annotations

from typing import Any

import pytest

from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.db import hot, transaction
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.matching.availability import Corner, list_payout_takers
from portal.matching.queries import count_reasons
from portal.matching.readiness import ReasonCode, why_no_orders
from portal.matching.service import Wanted, match
from portal.matching.verdicts import Verdict
from portal.merchants.queries import TrafficTerms
from portal.merchants.service import set_traffic_rule
from portal.orders.queries import get_order, list_payout_offers
from portal.orders.service import accept_payout, claim_payin, decline_payout
from portal.orders.service.assign import NothingFree
from portal.reference import configuration as config
from tests.scene import USDT, Scene, as_trader, counters

AMOUNT = 1500_00


def wanted(amount_minor: int = AMOUNT, round_: int = 0, bank: str | None = None) -> Wanted:
    return Wanted(new_id(), round_, "live", "card", bank, "RUB", amount_minor, 16 * USDT, TrafficTerms())


def counted(scene: Scene, amount_minor: int = AMOUNT) -> dict[str, int]:
    """What turns requisites away now, without zeros."""
    found = count_reasons(wanted(amount_minor))
    return {name: count for name, count in found.items() if count}


def corner() -> Corner:
    return Corner("live", "card", "RUB", None, (), ())


FULL = (
    {"status": "suspended"}, {"payout_on": False}, {"trader_payout_on": False}, {"min_amount": AMOUNT + 1},
    {"max_amount": AMOUNT - 1}, {"max_open_orders": 1, "open_orders": 1}, {"day_amount_limit": AMOUNT - 1},
    {"day_count_limit": 1, "day_count": 1}, {"window_s": 60, "window_amount_limit": AMOUNT - 1},
    {"total_amount_limit": AMOUNT - 1},
)  # fmt: skip


@pytest.mark.proves("tried A1")
@pytest.mark.parametrize("full", FULL, ids=lambda full: next(iter(full)))
def test_a_payout_is_offered_to_whom_it_would_be_given_and_to_nobody_else(
    scene: Scene, full: dict[str, Any]
) -> None:
    scene.fund_store()
    trader = scene.trader()
    requisite = scene.requisite(trader)
    order = scene.payout(AMOUNT)
    assert [offer.id for offer in list_payout_offers(trader.id, Mode.LIVE)] == [order.id]
    assert list_payout_takers(corner(), AMOUNT) == [trader.id]
    with transaction():
        columns = ", ".join(f"{name} = %({name})s" for name in full)
        hot(
            f"UPDATE requisite SET day = current_date + 1, {columns} WHERE id = %(id)s",
            full | {"id": requisite.id},
        )
    assert list_payout_offers(trader.id, Mode.LIVE) == []
    assert list_payout_takers(corner(), AMOUNT) == []
    with pytest.raises(NothingFree), transaction():
        accept_payout(trader.id, order.id, actor=as_trader(trader))


@pytest.mark.proves("tried A1")
def test_a_payout_is_offered_and_given_by_the_same_rules_of_traffic_and_history(scene: Scene) -> None:
    scene.fund_store()
    trader, other = scene.trader(), scene.trader()
    scene.requisite(trader)
    order = scene.payout(AMOUNT)
    for rule, of in (("exclude", trader), ("pin", other)):
        with transaction():
            set_traffic_rule(scene.store_id, of.id, rule, actor=SYSTEM)
        assert list_payout_offers(trader.id, Mode.LIVE) == []
        with pytest.raises(NotFound), transaction():
            accept_payout(trader.id, order.id, actor=as_trader(trader))
    with transaction():
        set_traffic_rule(scene.store_id, trader.id, "pin", actor=SYSTEM)
        accept_payout(trader.id, order.id, actor=as_trader(trader))
        decline_payout(get_order(order.id, lock=True), "no_money", actor=as_trader(trader))
    assert list_payout_offers(trader.id, Mode.LIVE) == []
    assert list_payout_takers(corner(), AMOUNT) == [trader.id]
    assert list_payout_takers(corner(), AMOUNT, order_id=order.id) == []
    with pytest.raises(NotFound), transaction():
        accept_payout(trader.id, order.id, actor=as_trader(trader))


@pytest.mark.proves("tried A1")
def test_payins_and_payouts_take_the_same_of_a_requisite(scene: Scene) -> None:
    scene.fund_store()
    limits = {"window_s": 3600, "window_amount_limit": 9000_00}
    trader, other = scene.trader(), scene.trader()
    of_payout = scene.requisite(trader, **limits)
    order = scene.payout(AMOUNT)
    with transaction():
        accepted = accept_payout(trader.id, order.id, actor=as_trader(trader))
        hot("UPDATE requisite SET payin_on = false WHERE id = %(id)s", {"id": of_payout.id})
    of_payin = scene.requisite(other, **limits)
    payin = scene.payin(AMOUNT)
    assert payin.requisite_id == of_payin.id
    assert counters(of_payin) == counters(of_payout)
    assert counters(of_payin)["window_amount"] == counters(of_payin)["total_amount"] == AMOUNT
    assert (payin.counted_day, payin.window_leaves_at is None) == (accepted.counted_day, False)


@pytest.mark.proves("tried A1")
def test_what_explains_counts_a_disputed_amount_as_who_takes_does(scene: Scene) -> None:
    scene.requisite(scene.trader())
    order = scene.payin()
    assert counted(scene) == {"requisites": 1, Verdict.SAME_AMOUNT: 1}
    with transaction():
        claim_payin(get_order(order.id, lock=True), None, actor=CUSTOMER)
    with transaction():
        locked = get_order(order.id, lock=True)
        open_dispute(locked, DisputeReason.NOT_CONFIRMED, "?", None, actor=scene.support)
    assert counted(scene) == {"requisites": 1, Verdict.SAME_AMOUNT: 1}
    assert counted(scene, AMOUNT + 1) == {"requisites": 1, "would_fit": 1}


@pytest.mark.proves("tried A1")
def test_what_explains_says_used_up_until_the_clock_has_begun_the_new_day(scene: Scene) -> None:
    """A requisite that was full yesterday is none that a search finds before that."""
    requisite = scene.requisite(scene.trader(), day_count_limit=1)
    scene.payin()
    assert counted(scene, AMOUNT + 1) == {"requisites": 1, Verdict.DAY_COUNT: 1}
    with transaction():
        hot("UPDATE requisite SET day = day - 1 WHERE id = %(id)s", {"id": requisite.id})
    assert counted(scene, AMOUNT + 1) == {"requisites": 1, Verdict.JUST_USED_UP: 1}
    assert scene.payin(AMOUNT + 1).status == "matching"


@pytest.mark.proves("tried A1")
def test_a_trader_and_staff_are_told_of_a_day_that_began_before_midnight_here(scene: Scene) -> None:
    trader = scene.trader()
    requisite = scene.requisite(trader, day_count_limit=1)
    with transaction():
        hot(
            "UPDATE requisite SET day = current_date + 2, day_count = 1 WHERE id = %(id)s",
            {"id": requisite.id},
        )
    reasons = why_no_orders(trader.id, config.get(config.DAY_TIMEZONE))
    assert [reason.code for reason in reasons] == [ReasonCode.LIMITS_USED_UP]
    assert counted(scene) == {"requisites": 1, Verdict.DAY_COUNT: 1}
    assert match(wanted(), reserve=False).taken is None
