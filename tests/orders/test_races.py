"""Two who act at once, with threads and real commits: one of them wins, and the books say the same afterwards."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask import Flask

from portal.core.actors import CUSTOMER, SYSTEM, Actor, ActorKind
from portal.core.db import hot, run_in_transaction, transaction
from portal.core.errors import DomainError, InvalidTransition
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.core.uploads.check import check_upload
from portal.ledger.accounts import account_id, trader_account, world_account
from portal.ledger.entries import Movement, Posting
from portal.ledger.errors import InsufficientFunds
from portal.ledger.integrity import CHECKS, run_checks
from portal.ledger.models import AccountKind, EntryKind, SubjectKind
from portal.ledger.service import deposit, post_entry
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.orders.models import Direction, ReceiptKind
from portal.orders.queries import get_order, get_order_for_trader
from portal.orders.receipts import add_receipt
from portal.orders.record import OrderRecord
from portal.orders.service import (
    accept_payout,
    act_on_due_orders,
    cancel_order,
    choose_method,
    claim_payin,
    confirm_payin,
    confirm_payin_at_once,
)
from portal.orders.service.create import NewOrder, create_order
from tests.orders.racing import at_once
from tests.scene import Scene, as_trader, build_scene, counters
from tests.sent_files import LARGEST, screenshot

pytestmark = pytest.mark.races
ROUNDS = 6
A = 15_789_474  # 1500.00 RUB at 95


@pytest.fixture
def arena(committed_db: Flask) -> Iterator[Scene]:
    with transaction():
        scene = build_scene()
    yield scene
    with transaction():
        assert run_checks((*CHECKS, *ORDER_CHECKS)) == []
        # The next test of this module shares the database: nobody of this one serves it.
        hot("UPDATE requisite SET payin_on = false, payout_on = false")


def in_one(work: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: run_in_transaction(work)


def entries_of(order: OrderRecord) -> Counter[str]:
    with transaction():
        rows = hot("SELECT kind FROM ledger_entry WHERE subject_id = %(id)s", {"id": order.id})
    return Counter(row["kind"] for row in rows)


def now(order: OrderRecord) -> OrderRecord:
    with transaction():
        return get_order(order.id)


def trader_of(order: OrderRecord) -> Actor:
    assert order.trader_id is not None
    return Actor(ActorKind.TRADER, order.trader_id)


def with_the_lock(order: OrderRecord) -> Callable[[], Any]:
    actor = trader_of(order)
    return in_one(lambda: confirm_payin(get_order(order.id, lock=True), None, actor=actor))


def by_one_statement(order: OrderRecord) -> Callable[[], Any]:
    actor = trader_of(order)
    return lambda: confirm_payin_at_once(partial(get_order, order.id), None, actor=actor)


Confirming = Callable[[OrderRecord], Callable[[], Any]]
both_ways = pytest.mark.parametrize("confirming", [with_the_lock, by_one_statement])


def creating(scene: Scene, amount_minor: int, direction: Direction = Direction.PAYIN) -> Callable[[], Any]:
    new = NewOrder(direction, amount_minor, "RUB", method="card")
    return in_one(lambda: create_order(scene.store, Mode.LIVE, new, actor=scene.merchant))


@pytest.mark.proves("ASVS 6")
@both_ways
def test_of_two_confirmations_one_pays(arena: Scene, committed_db: Flask, confirming: Confirming) -> None:
    arena.requisite(arena.trader())
    for _ in range(ROUNDS):
        order = arena.payin()
        results = at_once(committed_db, *[confirming(order)] * 4)
        assert {result.status for result in results} == {"completed"}
        assert entries_of(order) == {"payin_matched": 1, "payin_completed": 1}


@both_ways
def test_a_confirmation_and_a_cancellation_never_both_happen(
    arena: Scene, committed_db: Flask, confirming: Confirming
) -> None:
    arena.requisite(arena.trader())
    for _ in range(ROUNDS):
        order = arena.payin()
        cancelling = in_one(lambda: cancel_order(get_order(order.id, lock=True), "no", actor=CUSTOMER))  # noqa: B023
        results = at_once(committed_db, confirming(order), cancelling)
        assert sum(isinstance(result, DomainError) for result in results) == 1, results
        kinds = entries_of(order)
        assert kinds["payin_completed"] + kinds["payin_released"] == 1
        assert now(order).status == ("completed" if kinds["payin_completed"] else "cancelled")


@both_ways
def test_a_confirmation_at_the_deadline_completes_once(
    arena: Scene, committed_db: Flask, confirming: Confirming
) -> None:
    """In time or late, the trader's word counts: what the clock released is taken anew."""
    requisite = arena.requisite(arena.trader())
    for _ in range(ROUNDS):
        order = arena.payin()
        with transaction():
            hot("UPDATE orders SET due_at = now() - interval '1 second' WHERE id = %(id)s", {"id": order.id})
        at_once(committed_db, confirming(order), lambda: act_on_due_orders(10))
        assert now(order).status == "completed"
        kinds = entries_of(order)
        assert kinds["payin_completed"] == 1
        assert kinds["payin_matched"] == 1 + kinds["payin_released"]
        assert counters(requisite)["open_orders"] == 0


@pytest.mark.proves("tried S5")
def test_a_proof_and_the_end_of_the_time_at_once_never_leave_a_proven_payout_on_offer(
    arena: Scene, committed_db: Flask
) -> None:
    trader = arena.trader()
    arena.requisite(trader)
    arena.fund_store()
    picture = check_upload(screenshot(), LARGEST, uploader="test")
    for _ in range(ROUNDS):
        order = arena.payout()
        with transaction():
            accept_payout(trader.id, order.id, actor=as_trader(trader))
            hot("UPDATE orders SET due_at = now() - interval '1 second' WHERE id = %(id)s", {"id": order.id})

        def attach(order_id: Any = order.id) -> str:
            mine = get_order_for_trader(trader.id, order_id, lock=True)
            return add_receipt(mine, picture, ReceiptKind.PAYOUT_PROOF, actor=as_trader(trader)).kind

        attached, _acted = at_once(committed_db, in_one(attach), lambda: act_on_due_orders(10))
        act_on_due_orders(10)
        is_proven = attached == "payout_proof"
        assert is_proven or isinstance(attached, DomainError)
        assert now(order).status == ("awaiting_confirmation" if is_proven else "matching")


def confirming_after(change: Callable[[OrderRecord], Any], order: OrderRecord) -> OrderRecord:
    """Confirm by one statement an order that somebody changes between the look at it and the statement."""
    looks = []

    def read(**lock: bool) -> OrderRecord:
        seen = get_order(order.id, **lock)
        looks.append(lock)
        if not lock:
            run_in_transaction(lambda: change(get_order(order.id, lock=True)))
        return seen

    result = confirm_payin_at_once(read, None, actor=trader_of(order))
    assert looks == [{}, {"lock": True}]
    return result


def test_a_claim_that_comes_between_the_look_and_the_confirmation_is_kept(arena: Scene) -> None:
    arena.requisite(arena.trader())
    order = arena.payin()
    done = confirming_after(lambda seen: claim_payin(seen, None, actor=CUSTOMER), order)
    assert (done.status, done.version) == ("completed", order.version + 2)
    assert now(order).claimed_at is not None
    assert entries_of(order) == {"payin_matched": 1, "payin_completed": 1}


def test_a_cancellation_that_comes_between_the_look_and_the_confirmation_wins(arena: Scene) -> None:
    arena.requisite(arena.trader())
    order = arena.payin()
    with pytest.raises(InvalidTransition):
        confirming_after(lambda seen: cancel_order(seen, "no", actor=CUSTOMER), order)
    assert now(order).status == "cancelled"
    assert entries_of(order) == {"payin_matched": 1, "payin_released": 1}


def test_thirty_payins_do_not_pass_a_limit_of_three(arena: Scene, committed_db: Flask) -> None:
    """Those without a deposit are looked at first: what was free when the look began is taken when it ends."""
    poor = arena.trader(deposit_minor=0)
    arena.copies_of(arena.requisite(poor), 39)
    trader = arena.trader()
    for round_ in range(1, ROUNDS + 1):
        requisite = arena.requisite(trader, max_open_orders=3)
        at_once(committed_db, *(creating(arena, 1000_00 + n * 100) for n in range(30)))
        with transaction():
            rows = hot(
                "SELECT status, count(*) AS n FROM orders WHERE store_id = %(id)s GROUP BY 1",
                {"id": arena.store_id},
            )
        assert {row["status"]: row["n"] for row in rows} == {
            "awaiting_payment": 3 * round_,
            "matching": 27 * round_,
        }
        assert counters(requisite)["open_orders"] == 3


@pytest.mark.proves("ASVS 4", "ASVS 40")
def test_payins_do_not_pass_a_days_amount(arena: Scene, committed_db: Flask) -> None:
    requisite = arena.requisite(arena.trader(), day_amount_limit=3000_00)
    at_once(committed_db, *(creating(arena, 1000_00 + n) for n in range(12)))
    assert counters(requisite)["day_count"] == 2
    assert counters(requisite)["day_amount"] <= 3000_00


@pytest.mark.proves("ASVS 6", "ASVS 40")
def test_one_amount_is_open_once_on_a_requisite(arena: Scene, committed_db: Flask) -> None:
    requisite = arena.requisite(arena.trader())
    for round_ in range(ROUNDS):
        amount = 1000_00 + round_
        at_once(committed_db, *[creating(arena, amount)] * 8)
        with transaction():
            rows = hot(
                "SELECT count(*) AS n FROM orders WHERE requisite_id = %(id)s AND amount_minor = %(amount)s"
                " AND status = 'awaiting_payment'",
                {"id": requisite.id, "amount": amount},
            )
        assert rows[0]["n"] == 1


def test_a_deposit_that_is_withdrawn_during_the_match_is_not_held_too(
    arena: Scene, committed_db: Flask
) -> None:
    for _ in range(ROUNDS):
        trader, came_in = arena.trader(deposit_minor=0), new_id()
        with transaction():
            entry = deposit(
                trader.id, A, "USDT", Mode.LIVE, subject_id=came_in, reference="test", actor=SYSTEM
            )
        arena.requisite(trader)
        available = account_id(trader_account(trader.id, AccountKind.AVAILABLE, "USDT", Mode.LIVE))
        world = account_id(world_account(AccountKind.SETTLEMENT, "USDT", Mode.LIVE))

        def withdraw(
            available: int = available, world: int = world, came_in: uuid.UUID = came_in, entry: int = entry
        ) -> int:
            movements = [Movement(available, "USDT", -A), Movement(world, "USDT", A)]
            return post_entry(
                Posting(EntryKind.REVERSAL, 0, movements), Mode.LIVE, SubjectKind.DEPOSIT, came_in,
                actor=SYSTEM, reason="It went back", reverses=entry,
            )  # fmt: skip

        created, withdrawn = at_once(committed_db, creating(arena, 1500_00), in_one(withdraw))
        held = arena.trader_balance(trader, AccountKind.HELD)
        assert held == (A if isinstance(withdrawn, InsufficientFunds) else 0)
        assert now_status(created.order_id) == ("awaiting_payment" if held else "matching")
        assert arena.trader_balance(trader) == 0
        with transaction():
            hot("UPDATE requisite SET payin_on = false WHERE trader_id = %(id)s", {"id": trader.id})


def now_status(order_id: Any) -> str:
    with transaction():
        return get_order(order_id).status


def test_a_payout_goes_to_the_first_of_two_traders(arena: Scene, committed_db: Flask) -> None:
    traders = [arena.trader(), arena.trader()]
    for trader in traders:
        arena.requisite(trader)
    arena.fund_store()
    for _ in range(ROUNDS):
        order = arena.payout()
        results = at_once(
            committed_db,
            *(
                in_one(lambda t=trader: accept_payout(t.id, order.id, actor=as_trader(t)))  # noqa: B023
                for trader in traders
            ),
        )
        assert sum(isinstance(result, DomainError) for result in results) == 1, results
        winner = next(result for result in results if not isinstance(result, DomainError))
        assert now(order).trader_id == winner.trader_id


@pytest.mark.proves("ASVS 6", "ASVS 40")
def test_payouts_do_not_spend_a_balance_twice(arena: Scene, committed_db: Flask) -> None:
    arena.fund_store(A + 473_684)

    def pay_out() -> Any:
        try:
            return arena.payout()
        except InsufficientFunds as refusal:
            return refusal

    results = at_once(committed_db, *[pay_out] * 6)
    assert sum(isinstance(result, OrderRecord) for result in results) == 1, results
    assert arena.store_balance() == 0


def test_a_method_is_chosen_and_matched_once(arena: Scene, committed_db: Flask) -> None:
    requisite = arena.requisite(arena.trader())
    for round_ in range(ROUNDS):
        order = arena.payin(2000_00 + round_, method=None)
        choosing = in_one(
            lambda: choose_method(get_order(order.id, lock=True), "card", None, actor=CUSTOMER)  # noqa: B023
        )
        results = at_once(committed_db, *[choosing] * 4)
        assert {result.status for result in results} == {"awaiting_payment"}
        assert entries_of(order) == {"payin_matched": 1}
        assert counters(requisite)["open_orders"] == round_ + 1


def test_postings_that_wait_for_one_account_are_numbered_as_they_move_it(
    arena: Scene, committed_db: Flask
) -> None:
    """Balances after each posting follow from each other by id, which is how a statement is read."""
    arena.fund_store(1)

    def fund() -> None:
        for _ in range(12):
            arena.fund_store(1)

    at_once(committed_db, *[fund] * 4)
    assert arena.store_balance() == 49
    with transaction():
        assert run_checks((*CHECKS, *ORDER_CHECKS)) == []
