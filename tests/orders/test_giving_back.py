"""A trader gives an order back: to others, or to an administrator once somebody may have paid."""

from __future__ import annotations

import pytest

from portal.core.actors import CUSTOMER
from portal.core.db import transaction
from portal.core.errors import InvalidTransition
from portal.disputes.giving_back import give_order_back
from portal.disputes.queries import list_disputes_of
from portal.orders.queries import get_order, list_steps
from portal.orders.record import OrderRecord
from portal.orders.service import accept_payout, act_on_due_orders, claim_payin, confirm_payin
from portal.traders.models import Trader
from tests.orders.test_payin import locked, make_due
from tests.orders.test_payout import attach_proof
from tests.scene import USDT, Scene, as_trader


@pytest.fixture
def trader(scene: Scene) -> Trader:
    with transaction():
        scene.fund_store(1000 * USDT)
    trader = scene.trader()
    scene.requisite(trader)
    return trader


def given_back(order: OrderRecord, trader: Trader, code: str, words: str | None = None) -> OrderRecord:
    with transaction():
        give_order_back(locked(order), code, words, actor=as_trader(trader))
    return get_order(order.id)


def cases(order: OrderRecord) -> list[tuple[str, str | None]]:
    return [(case.reason, case.words) for case in list_disputes_of(order.id)]


def claimed(order: OrderRecord) -> OrderRecord:
    with transaction():
        return claim_payin(locked(order), None, actor=CUSTOMER)


def accepted(scene: Scene, trader: Trader) -> OrderRecord:
    order = scene.payout()
    with transaction():
        return accept_payout(trader.id, order.id, actor=as_trader(trader))


@pytest.mark.parametrize(
    ("words", "why"), [(None, "bank_problem"), ("it is closed", "bank_problem: it is closed")]
)
def test_a_payin_that_nobody_paid_goes_to_others(
    scene: Scene, trader: Trader, words: str | None, why: str
) -> None:
    order = given_back(scene.payin(), trader, "bank_problem", words)
    assert (order.status, order.trader_id, cases(order)) == ("matching", None, [])
    assert [step.reason for step in list_steps(order.id) if step.event == "declined"] == [why]


@pytest.mark.parametrize(("code", "about"), [("fake_receipt", "fake_receipt"), ("bank_problem", "other")])
def test_a_payin_whose_customer_says_that_they_paid_is_a_dispute(
    scene: Scene, trader: Trader, code: str, about: str
) -> None:
    order = given_back(claimed(scene.payin()), trader, code, "copied")
    assert (order.status, order.trader_id) == ("disputed", trader.id)
    assert cases(order) == [(about, "copied")]
    assert given_back(order, trader, code).version == order.version


def test_an_expired_payin_may_have_been_paid_as_well(scene: Scene, trader: Trader) -> None:
    order = scene.payin()
    make_due(order)
    assert act_on_due_orders() == 1
    assert given_back(order, trader, "not_received").status == "disputed"


@pytest.mark.proves("tried S5")
@pytest.mark.parametrize("is_proven", [False, True])
def test_a_payout_with_a_proof_is_a_dispute_and_goes_to_others_without_one(
    scene: Scene, trader: Trader, is_proven: bool
) -> None:
    order = accepted(scene, trader)
    if is_proven:
        attach_proof(order)
    now = given_back(order, trader, "not_available", "the bank is closed")
    assert now.status == ("disputed" if is_proven else "matching")
    assert cases(order) == ([("other", "not_available: the bank is closed")] if is_proven else [])


def test_what_is_completed_is_given_back_by_nobody(scene: Scene, trader: Trader) -> None:
    order = scene.payin()
    with transaction():
        confirm_payin(locked(order), None, actor=as_trader(trader))
    with pytest.raises(InvalidTransition):
        given_back(order, trader, "not_received")
