"""The clock: one acts, the others stand by; nothing that fails stops anything else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import psycopg
import pytest
from flask import Flask

from portal.core.db import db, hot, transaction
from portal.core.idempotency import delete_old_keys
from portal.core.modes import Mode
from portal.error_reports.recorder import Counted
from portal.error_reports.service import add_reports
from portal.ledger.models import AccountKind, OwnerKind
from portal.ledger.queries import balance_minor
from portal.orders.models import Status
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import deadlines, stuck
from portal.orders.service.stuck import Stuck
from portal.workers import clock
from portal.workers.clock import Duty, Lane, Leadership
from tests.scene import Scene, build_scene

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scene(committed_db: Flask) -> Scene:
    with transaction():
        return build_scene()


def dsn() -> str:
    return db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def wait_for(condition, seconds: float = 10) -> bool:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if condition():
            return True
        time.sleep(0.05)
    return False


def make_due(order: OrderRecord) -> None:
    with transaction():
        hot("UPDATE orders SET due_at = now() - interval '1 second' WHERE id = %(id)s", {"id": order.id})


def test_a_duty_that_fails_does_not_stop_the_others(committed_db: Flask) -> None:
    done = []

    def fail() -> int:
        raise RuntimeError("broken")

    lane = Lane(
        committed_db, [Duty("broken", 0, fail), Duty("sound", 0, lambda: len(done.append(1) or done))]
    )
    lane.turn()
    lane.turn()
    assert done == [1, 1]


def test_nothing_is_acted_on_while_the_outage_check_fails(committed_db: Flask) -> None:
    done: list[int] = []
    working = Event()

    def beat() -> int:
        if not working.is_set():
            raise RuntimeError("the database is away")
        return 0

    lane = Lane(committed_db, [Duty("deadlines", 0, lambda: done.append(1) or 0)], Duty("beat", 0, beat))
    lane.turn()
    assert done == []
    working.set()
    lane.turn()
    assert done == [1]


def test_a_duty_is_done_again_after_its_period_and_at_once_when_more_is_waiting(committed_db: Flask) -> None:
    rare: list[int] = []
    full: list[int] = []
    duties = [
        Duty("rare", 3600, lambda: rare.append(1) or 0),
        Duty("full", 3600, lambda: full.append(1) or 5, 5),
    ]
    lane = Lane(committed_db, duties)
    lane.turn()
    lane.turn()
    assert (len(rare), len(full)) == (1, 2)


@pytest.mark.proves("F4", "F36")
def test_a_clock_that_hangs_loses_the_lead(committed_db: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "HUNG_AFTER_S", 1)
    hung, second = Leadership(dsn()), Leadership(dsn())
    try:
        assert hung.is_ours()
        assert not second.is_ours()
        # It asks no more, and its connection stays open.
        assert wait_for(second.is_ours, 5)
        assert not hung.is_ours()
    finally:
        hung.give_up()
        second.give_up()


def test_one_clock_leads_and_another_takes_over_when_it_is_cut_off(committed_db: Flask) -> None:
    first, second = Leadership(dsn()), Leadership(dsn())
    try:
        assert first.is_ours()
        assert not second.is_ours()
        assert first.is_ours()
        with psycopg.connect(dsn(), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        assert wait_for(second.is_ours, 2)
        assert not first.is_ours()
    finally:
        first.give_up()
        second.give_up()


def test_the_clock_ends_an_unpaid_order_and_gives_its_hold_back(scene: Scene, committed_db: Flask) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    before = scene.trader_balance(trader)
    order = scene.payin()
    assert order.status == Status.AWAITING_PAYMENT
    make_due(order)
    stop = Event()
    thread = Thread(target=clock.run_clock, args=(committed_db, stop))
    thread.start()
    try:
        assert wait_for(lambda: _status(order) == Status.EXPIRED)
    finally:
        stop.set()
        stopped_after = time.monotonic()
        thread.join(5)
    assert time.monotonic() - stopped_after < 2.5
    assert scene.trader_balance(trader) == before
    assert balance_minor(OwnerKind.TRADER, trader.id, AccountKind.HELD, "USDT", Mode.LIVE) == 0


def _status(order: OrderRecord) -> str:
    with transaction():
        return get_order(order.id).status


def test_an_order_that_cannot_be_acted_on_does_not_keep_the_others_waiting(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    broken, sound = scene.payin(1500_00), scene.payin(1600_00)
    make_due(broken)
    make_due(sound)
    act = deadlines.act_on_deadline

    def fail_for_one(order: OrderRecord, open_case=None) -> OrderRecord:
        if order.id == broken.id:
            raise RuntimeError("broken")
        return act(order, open_case)

    monkeypatch.setattr(deadlines, "act_on_deadline", fail_for_one)
    assert deadlines.act_on_due_orders() == 1
    assert (get_order(broken.id).status, get_order(sound.id).status) == (
        Status.AWAITING_PAYMENT,
        Status.EXPIRED,
    )


def test_an_order_that_cannot_be_acted_on_is_tried_later_and_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.requisite(scene.trader())
    broken = scene.payin(1500_00)
    make_due(broken)
    act, tries, clock_s = deadlines.act_on_deadline, [], [1000.0]

    def fail(order: OrderRecord, _open_case=None) -> OrderRecord:
        if order.id == broken.id:
            tries.append(clock_s[0])
        raise RuntimeError("broken")

    monkeypatch.setattr(deadlines, "act_on_deadline", fail)
    monkeypatch.setattr(deadlines, "stuck", Stuck())
    monkeypatch.setattr(stuck, "time", SimpleNamespace(monotonic=lambda: clock_s[0]))
    for _ in range(1200):
        assert deadlines.act_on_due_orders() == 0
        clock_s[0] += 0.5
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert len(tries) in {10, 11}
    assert pauses == sorted(pauses)
    assert pauses[0] < 2
    monkeypatch.setattr(deadlines, "act_on_deadline", act)
    clock_s[0] += 400
    assert deadlines.act_on_due_orders() >= 1
    assert deadlines.stuck.resting() == []
    with transaction():
        assert get_order(broken.id).status == Status.EXPIRED


def test_old_idempotency_keys_are_forgotten_in_batches_and_young_ones_kept(scene: Scene) -> None:
    with transaction():
        hot("DELETE FROM idempotency_key")
        for n, age in enumerate(("100 hours", "90 hours", "1 hour")):
            hot(
                "INSERT INTO idempotency_key (store_id, mode, path, key, fingerprint, status, body_encrypted, created_at)"
                " VALUES (%(store)s, 'live', '/x', %(key)s, 'f', 201, 'b', now() - %(age)s::interval)",
                {"store": scene.store_id, "key": str(n), "age": age},
            )
    with transaction():
        assert delete_old_keys(72, limit=1) == 1
    with transaction():
        assert delete_old_keys(72, limit=10) == 1
        assert [row["key"] for row in hot("SELECT key FROM idempotency_key")] == ["2"]


@pytest.mark.timeout(180)
@pytest.mark.stages
def test_a_killed_clock_is_replaced_by_the_one_that_stood_by(scene: Scene) -> None:
    clocks = [start_clock(), start_clock()]
    try:
        assert wait_for(lambda: _leader_pid() is not None, 90)
        time.sleep(0.2)
        assert wait_for(lambda: _clock_connections() >= 1, 30)
        order = _unpaid(scene)
        # Whoever leads is killed: the connection that holds the lock belongs to one of the two.
        leader = _leading_process(clocks)
        leader.kill()
        make_due(order)
        assert wait_for(lambda: _status(order) == Status.EXPIRED, 60)
        survivor = next(one for one in clocks if one is not leader)
        assert survivor.poll() is None
        survivor.send_signal(signal.SIGTERM)
        assert survivor.wait(20) == 0
    finally:
        for one in clocks:
            if one.poll() is None:
                one.kill()
            one.wait()


def start_clock() -> subprocess.Popen[bytes]:
    # The committed_db fixture has put the address of this module's database into the environment.
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi:app", "clock"], cwd=ROOT, env=dict(os.environ)
    )


def _unpaid(scene: Scene) -> OrderRecord:
    scene.requisite(scene.trader())
    return scene.payin(1700_00)


def _leader_pid() -> int | None:
    """The server process of the connection that holds the clocks' lock."""
    with transaction():
        rows = hot(
            "SELECT a.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory'"
            " AND l.granted AND a.application_name = 'nostro clock' AND a.datname = current_database()"
        )
    return rows[0]["pid"] if rows else None


def _clock_connections() -> int:
    with transaction():
        return len(hot("SELECT 1 FROM pg_stat_activity WHERE application_name = 'nostro clock'"))


def _leading_process(clocks: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Freeze one: if the beat goes on, the other one leads."""
    os.kill(clocks[0].pid, signal.SIGSTOP)
    time.sleep(2)
    before = _last_beat()
    time.sleep(2)
    went_on = _last_beat() != before
    os.kill(clocks[0].pid, signal.SIGCONT)
    return clocks[1] if went_on else clocks[0]


def _last_beat() -> object:
    with transaction():
        return hot("SELECT beat_at FROM heartbeat WHERE role = 'clock'")


def test_the_clock_forgets_errors_that_have_not_come_for_a_season(committed_db: Flask) -> None:
    now = datetime.now(UTC)
    with transaction():
        add_reports(
            [
                Counted("Broken", name, "portal", "ERROR", last_at, last_at, "words")
                for name, last_at in (("fresh", now), ("old", now - timedelta(days=91)))
            ],
            role="web", release="test",
        )  # fmt: skip
    Lane(committed_db, [duty for duty in clock.UPKEEP if duty.name == "old error reports"]).turn()
    with transaction():
        kept = hot("SELECT fingerprint FROM error_report WHERE kind = 'Broken'")
    assert [row["fingerprint"] for row in kept] == ["fresh"]
