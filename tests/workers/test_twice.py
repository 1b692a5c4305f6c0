"""Whatever may run in the background runs twice, beside its twin, and after its object is gone.

Each duty of the clock, each job and each loop of the relay has a case here; one without fails the first test.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isfunction
from pathlib import Path
from threading import Barrier, Thread

import pytest
from flask import Flask

from portal.core.db import hot, release, transaction
from portal.workers import clock, jobs
from tests.scene import build_scene
from tests.workers.cases import CASES, World, duty


def test_whatever_may_run_has_a_case() -> None:
    duties = {f"duty: {one.name}" for one in (clock.BEAT, *clock.DEADLINES, *clock.UPKEEP, *clock.PROOFS)}
    hinted = {
        f"job: {name}"
        for name, value in vars(jobs).items()
        if isfunction(value) and value.__module__ == jobs.__name__ and not name.startswith("_")
    }
    assert duties | hinted | {"loop: relay", "loop: sender", "loop: postman"} == set(CASES)


@pytest.fixture
def world(committed_db: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with transaction():
        hot("DELETE FROM queue_stop")
        hot("UPDATE orders SET due_at = NULL, retry_at = NULL, window_leaves_at = NULL")
        hot("UPDATE event SET state = 'done' WHERE state = 'pending'")
        hot("UPDATE requisite SET trader_payin_on = false")
        hot("DELETE FROM mail WHERE state = 'pending'")
        hot("UPDATE webhook_endpoint SET deleted_at = now() WHERE deleted_at IS NULL")
    duty("ledger roll-up")()
    with transaction():
        scene = build_scene()
    yield World(scene, tmp_path, monkeypatch)
    release()


@pytest.mark.parametrize("name", CASES)
def test_done_twice_it_has_its_effect_once(world: World, name: str) -> None:
    case = CASES[name]
    case.prepare(world)
    case.act()
    assert case.effect(world) == 1, "it does nothing"
    case.act()
    assert case.effect(world) == 1


@pytest.mark.parametrize("name", CASES)
def test_done_beside_its_twin_it_has_its_effect_once(world: World, committed_db: Flask, name: str) -> None:
    case = CASES[name]
    case.prepare(world)
    release()
    gate, failures = Barrier(3), []

    def act() -> None:
        with committed_db.app_context():
            gate.wait()
            try:
                case.act()
            except Exception as error:
                failures.append(error)
            finally:
                release()

    threads = [Thread(target=act) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert case.effect(world) == 1


@pytest.mark.parametrize("name", CASES)
def test_after_its_object_is_gone_it_has_nothing_to_do(world: World, name: str) -> None:
    case = CASES[name]
    case.prepare(world)
    case.gone(world)
    case.act()
