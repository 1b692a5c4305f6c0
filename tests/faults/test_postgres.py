"""PostgreSQL restarted and killed under load: what was acknowledged is there, and nobody has to help."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.faults.processes import wait_until
from tests.faults.stage import Stage

Fault = Callable[[str, int], None]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

READY_AGAIN_S = 8.0
UP_AGAIN_S = 15.0


@pytest.mark.proves("F9")
def test_a_restart_is_over_when_it_is_over(stage: Stage, fault: Fault) -> None:
    rounds = 2
    with stage.load(seed=9) as load:
        for _ in range(rounds):
            stage.postgres.stop()
            time.sleep(0.5)
            status, _ = stage.readiness()
            assert status == 503
            stage.postgres.start()
            up_at, created = time.monotonic(), load.created
            stage.wait_until_ready(READY_AGAIN_S)
            wait_until(lambda created=created: load.created > created, READY_AGAIN_S, "orders again")
            assert time.monotonic() - up_at < READY_AGAIN_S
            time.sleep(2)
        assert not any(": 500" in kind for kind in load.tally.errors), load.tally.errors
    stage.quiesce()
    fault("pg_ctl -m fast and start, under load", rounds)


@pytest.mark.proves("F10", "F11")
def test_what_was_acknowledged_before_a_kill_is_there(stage: Stage, fault: Fault) -> None:
    rounds, slowest = 4, 0.0
    with stage.load(150, seed=10) as load:
        for _ in range(rounds):
            acts = load.acts
            wait_until(lambda acts=acts: load.acts > acts + 15, 60, "work goes on")
            stage.kill_postgres()
            began_at = time.monotonic()
            stage.postgres.start()
            slowest = max(slowest, time.monotonic() - began_at)
        assert slowest < UP_AGAIN_S
        stage.wait_until_ready(READY_AGAIN_S)
        assert not any(": 500" in kind for kind in load.tally.errors), load.tally.errors
        acknowledged = len(load.told())
    stage.quiesce()
    fault(f"kill -9 of all of it under load; {acknowledged} acknowledged steps found again", rounds)
