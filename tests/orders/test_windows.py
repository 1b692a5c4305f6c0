"""Rolling windows of requisites: an order counts in one from its matching on, leaves once, and is never forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from portal.core.actors import CUSTOMER, Actor, ActorKind
from portal.core.db import db, hot, run_in_transaction, sqlstate_of, transaction
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, resolve_dispute
from portal.ledger.integrity import CHECKS, run_checks
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import cancel_order, confirm_payin, confirm_payin_at_once, decline_payin
from portal.orders.service import confirm as confirming
from portal.orders.service.deadlines import act_on_deadline, free_limits
from portal.orders.service.silences import beat
from portal.traders.models import Requisite, Trader
from portal.traders.requisites import Terms, change_requisite
from tests.orders.racing import at_once, pause_until
from tests.rows import change
from tests.scene import Scene, as_trader, build_scene, counters

HOUR, AMOUNT = 3600, 1500_00
TWELVE_THOUSAND = 12_000_00


@pytest.fixture
def arena(committed_db: Flask) -> Iterator[Scene]:
    with transaction():
        scene = build_scene()
    yield scene
    with transaction():
        hot("UPDATE requisite SET payin_on = false, payout_on = false")


def windowed(scene: Scene, trader: Trader, hours: int = 1, limit: int = TWELVE_THOUSAND) -> Requisite:
    return scene.requisite(trader, window_s=hours * HOUR, window_amount_limit=limit)


def in_window(requisite: Requisite) -> int:
    """The counter, which `ledger verify` must agree with at this moment."""
    with transaction():
        assert run_checks((*CHECKS, *ORDER_CHECKS)) == []
        return int(counters(requisite)["window_amount"])


def age(order: OrderRecord, seconds: int) -> None:
    """As if it had been matched so long before."""
    change(
        "UPDATE orders SET assigned_at = assigned_at - %(by)s, window_leaves_at = window_leaves_at - %(by)s WHERE id = %(id)s",
        {"by": timedelta(seconds=seconds), "id": order.id},
    )


def set_window(trader: Trader, requisite: Requisite, hours: int | None, *, without_end: bool = False) -> None:
    """What the trader does on the requisite's page; `without_end`: where whoever waits for a lock goes on waiting."""
    terms = Terms(
        holder=requisite.holder, bank=requisite.bank, min_amount=100_00, max_amount=1_000_000_00, max_open_orders=100,
        window_s=hours and hours * HOUR, window_amount_limit=hours and TWELVE_THOUSAND,
    )  # fmt: skip
    with transaction():
        if without_end:
            hot("SET LOCAL lock_timeout = 0")
            hot("SET LOCAL statement_timeout = '2s'")
        change_requisite(trader.id, requisite.id, terms, user_id=uuid.uuid4(), actor=as_trader(trader))


def end(order: OrderRecord, how: str, scene: Scene) -> None:
    with transaction():
        locked = get_order(order.id, lock=True)
        match how:
            case "cancelled":
                cancel_order(locked, "changed my mind", actor=scene.merchant)
            case "expired":
                act_on_deadline(locked)
            case "declined":
                decline_payin(locked, "no access", actor=Actor(ActorKind.TRADER, locked.trader_id))
            case _:
                case = open_dispute(locked, DisputeReason.NOT_CONFIRMED, "?", None, actor=scene.support)
                resolve_dispute(case, DisputeOutcome.CANCELLED, None, "decided", actor=scene.support)


def reopen(order: OrderRecord) -> None:
    """The customer's dispute over an order that expired."""
    with transaction():
        open_dispute(get_order(order.id, lock=True), DisputeReason.NOT_CONFIRMED, "?", None, actor=CUSTOMER)


def confirm(order: OrderRecord, trader: Trader) -> None:
    with transaction():
        confirm_payin(get_order(order.id, lock=True), None, actor=as_trader(trader))


@pytest.mark.proves("tried C1")
@pytest.mark.parametrize("how", ["cancelled", "expired", "declined", "decided"])
def test_an_order_that_is_given_back_leaves_the_window_once(scene: Scene, how: str) -> None:
    requisite = windowed(scene, scene.trader())
    stays, goes = scene.payin(AMOUNT), scene.payin(2_000_00)
    end(goes, how, scene)
    assert in_window(requisite) == AMOUNT
    age(goes, 2 * HOUR)
    free_limits("UTC")
    assert in_window(requisite) == AMOUNT
    age(stays, 2 * HOUR)
    free_limits("UTC")
    assert in_window(requisite) == 0


@pytest.mark.proves("tried C1")
def test_a_window_never_takes_more_than_its_limit_after_orders_were_given_back(scene: Scene) -> None:
    requisite = windowed(scene, scene.trader(), limit=10_000_00)
    scene.payin(8_000_00)
    for _ in range(2):
        gone = scene.payin(2_000_00)
        end(gone, "cancelled", scene)
        age(gone, 2 * HOUR)
        free_limits("UTC")
    assert scene.payin(2_000_01).status == "matching"
    assert scene.payin(2_000_00).requisite_id == requisite.id


@pytest.mark.proves("tried C1")
@pytest.mark.parametrize("late", [False, True])
def test_an_expired_order_that_counts_again_is_back_in_its_window_while_it_lies_there(
    scene: Scene, late: bool
) -> None:
    trader = scene.trader()
    requisite = windowed(scene, trader)
    confirmed, disputed = scene.payin(AMOUNT), scene.payin(2_000_00)
    for order in (confirmed, disputed):
        end(order, "expired", scene)
        if late:
            age(order, 2 * HOUR)
    confirm(confirmed, trader)
    reopen(disputed)
    # A dispute over an expired order takes no limits.
    assert in_window(requisite) == (0 if late else AMOUNT)


@pytest.mark.proves("tried C2")
def test_leaving_a_window_is_a_change_of_the_order(scene: Scene) -> None:
    windowed(scene, scene.trader())
    order = scene.payin()
    age(order, 2 * HOUR)
    before = get_order(order.id).version
    free_limits("UTC")
    after = get_order(order.id)
    assert (after.version, after.window_leaves_at) == (before + 1, None)


@pytest.mark.proves("tried C2")
def test_a_confirmation_without_lock_never_puts_an_order_back_into_the_window_it_has_left(
    arena: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock comes between its reading and its statement."""
    trader = arena.trader()
    requisite = windowed(arena, trader)
    order = arena.payin()
    with transaction():
        age(order, 2 * HOUR)
    meet, came = confirming.meet_accounts, []

    def clock_comes_between(read: OrderRecord) -> None:
        came.append(free_limits("UTC"))
        meet(read)

    monkeypatch.setattr(confirming, "meet_accounts", clock_comes_between)
    done = confirm_payin_at_once(
        lambda *, lock=False: get_order(order.id, lock=lock), None, actor=as_trader(trader)
    )
    assert (came, done.status, get_order(order.id).window_leaves_at) == ([1], "completed", None)
    assert in_window(requisite) == 0
    assert free_limits("UTC") == 0


@pytest.mark.proves("tried C3")
def test_a_window_taken_off_and_set_again_counts_what_lies_in_it(scene: Scene) -> None:
    trader = scene.trader()
    requisite = windowed(scene, trader)
    scene.payin(AMOUNT)
    done, gone, old = scene.payin(8_000_00), scene.payin(2_000_00), scene.payin(700_00)
    confirm(done, trader)
    end(gone, "cancelled", scene)
    age(old, 2 * HOUR)
    set_window(trader, requisite, None)
    assert in_window(requisite) == 0
    set_window(trader, requisite, 1)
    assert in_window(requisite) == AMOUNT + 8_000_00
    assert scene.payin(TWELVE_THOUSAND - AMOUNT - 8_000_00 + 1).status == "matching"
    free_limits("UTC")
    assert in_window(requisite) == AMOUNT + 8_000_00


@pytest.mark.proves("tried C3")
def test_a_window_of_another_length_counts_what_lies_in_that(scene: Scene) -> None:
    trader = scene.trader()
    requisite = windowed(scene, trader, hours=4)
    young, older = scene.payin(AMOUNT), scene.payin(2_000_00)
    confirm(older, trader)
    age(older, 2 * HOUR)
    moments: dict[int, Any] = {}
    for hours, expected in ((1, AMOUNT), (3, AMOUNT + 2_000_00), (1, AMOUNT), (4, AMOUNT + 2_000_00)):
        set_window(trader, requisite, hours)
        assert in_window(requisite) == expected
        moments[hours] = get_order(young.id).window_leaves_at
    assert moments[4] - moments[1] == timedelta(hours=3)
    assert get_order(young.id).version == young.version + 4


@pytest.mark.proves("tried C3")
@pytest.mark.parametrize("outcome", DisputeOutcome)
def test_a_dispute_over_an_expired_order_is_no_part_of_a_window_that_changes(
    scene: Scene, outcome: DisputeOutcome
) -> None:
    """It took no limits when it was opened, and gives none back when it is decided as cancelled."""
    trader = scene.trader()
    requisite = windowed(scene, trader)
    order = scene.payin(8_000_00)
    end(order, "expired", scene)
    reopen(order)
    set_window(trader, requisite, 2)
    assert in_window(requisite) == 0
    assert get_order(order.id).window_leaves_at is None
    assert scene.payin(5_000_00).requisite_id == requisite.id
    with transaction():
        resolve_dispute(get_order(order.id, lock=True), outcome, None, "decided", actor=scene.support)
    assert in_window(requisite) == 5_000_00 + (8_000_00 if outcome is DisputeOutcome.COMPLETED else 0)


@pytest.mark.proves("tried C3")
def test_a_window_is_not_recounted_beside_somebody_who_works_on_one_of_its_orders(
    arena: Scene,
) -> None:
    """Orders come before requisites in the order of locks: whoever recounts waits for nobody, and tries again."""
    trader = arena.trader()
    requisite = windowed(arena, trader)
    order = arena.payin()
    url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM orders WHERE id = %s FOR NO KEY UPDATE", [order.id])
        with pytest.raises(OperationalError) as refused:
            set_window(trader, requisite, 2, without_end=True)
        # Refused at once. Having waited it would be 57014.
        assert sqlstate_of(refused.value) == "55P03"
        other.rollback()
    run_in_transaction(lambda: set_window(trader, requisite, 2))
    assert in_window(requisite) == AMOUNT


@pytest.mark.races
@pytest.mark.proves("tried C3")
@pytest.mark.parametrize(("minutes_old", "hours", "counted"), [(90, 2, AMOUNT), (0, None, 0)])
def test_a_late_completion_beside_a_window_that_changes_lies_in_the_new_one(
    arena: Scene, committed_db: Flask, minutes_old: int, hours: int | None, counted: int
) -> None:
    """The new length is written, not committed, when the order comes back into its window."""
    trader = arena.trader()
    requisite, receiver = windowed(arena, trader), as_trader(trader)
    order = arena.payin()
    with transaction():
        age(order, minutes_old * 60)
    end(order, "expired", arena)

    def complete() -> OrderRecord:
        return confirm_payin(get_order(order.id, lock=True), None, actor=receiver)

    waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    with ThreadPoolExecutor(1) as other:
        with transaction():
            set_window(trader, requisite, hours)
            result = other.submit(at_once, committed_db, lambda: run_in_transaction(complete))
            pause_until(lambda: bool(hot(waits)))
        assert [done.status for done in result.result(30)] == ["completed"]
    assert in_window(requisite) == counted
    now = get_order(order.id)
    assert now.assigned_at is not None
    assert now.window_leaves_at == (now.assigned_at + timedelta(hours=hours) if hours else None)


def test_a_clock_that_is_set_back_takes_windows_along_and_says_so(scene: Scene) -> None:
    windowed(scene, scene.trader())
    order = scene.payin()
    ahead = {"by": timedelta(minutes=10), "id": order.id}
    change(
        "UPDATE orders SET window_leaves_at = window_leaves_at + %(by)s, updated_at = updated_at + %(by)s WHERE id = %(id)s",
        ahead,
    )
    beat(30)
    change("UPDATE heartbeat SET beat_at = clock_timestamp() + interval '10 min' WHERE role = 'clock'")
    before = get_order(order.id)
    beat(30)
    after = get_order(order.id)
    assert before.window_leaves_at is not None
    assert after.window_leaves_at is not None
    moved = before.window_leaves_at - after.window_leaves_at
    assert abs(moved - timedelta(minutes=10)) < timedelta(seconds=5)
    assert after.version > before.version
