"""Processes that live and do nothing: /readyz names whose work is left."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.faults.processes import wait_until
from tests.faults.stage import Stage

Fault = Callable[[str, int], None]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]


def red(stage: Stage) -> list[str]:
    """The names of what is wrong."""
    status, told = stage.readiness()
    wrong = [name for name, result in told.get("checks", {}).items() if result != "ok"]
    assert (status == 503) == bool(wrong), told
    return wrong


@pytest.mark.proves("F36")
def test_a_frozen_clock_is_named(stage: Stage, fault: Fault) -> None:
    stage.actors["clock"].freeze()
    # The first 25 of its 30 seconds.
    stage.sql("UPDATE heartbeat SET beat_at = beat_at - interval '25 s' WHERE role = 'clock'")
    wait_until(lambda: red(stage) == ["clock"], 20, "the clock is named")
    stage.actors["clock"].thaw()
    wait_until(lambda: red(stage) == [], 20, "green again")
    fault("clock frozen", 1)


@pytest.mark.proves("F36")
def test_a_frozen_relay_is_named(stage: Stage, fault: Fault) -> None:
    stage.actors["relay"].freeze()
    with stage.load(seed=36):
        wait_until(lambda: stage.sql("SELECT 1 FROM event WHERE state = 'pending'"), 20, "something waits")
    stage.sql("UPDATE event SET next_at = next_at - interval '61 s' WHERE state = 'pending'")
    wait_until(lambda: red(stage) == ["outbox"], 10, "the outbox is named")
    stage.actors["relay"].thaw()
    wait_until(lambda: red(stage) == [], 45, "green again")
    stage.quiesce()
    fault("relay frozen", 1)


@pytest.mark.proves("F36")
def test_a_sender_that_hangs_beside_a_relay_that_works_is_named(stage: Stage, fault: Fault) -> None:
    stage.actors["relay"].kill()
    stuck = stage.add("relay-stuck", command=(sys.executable, "-m", "tests.faults.stuck_sender"))
    with stage.load(seed=37):
        wait_until(
            lambda: stage.sql("SELECT 1 FROM webhook_delivery WHERE lease_token IS NOT NULL"),
            30,
            "it has begun",
        )
    wait_until(lambda: not stage.sql("SELECT 1 FROM event WHERE state = 'pending'"), 30, "the relay hands on")
    stage.sql("UPDATE webhook_delivery SET next_at = next_at - interval '61 s' WHERE state = 'pending'")
    stage.sql("UPDATE webhook_attempt SET at = at - interval '61 s'")
    wait_until(lambda: red(stage) == ["webhooks"], 10, "the sender's work is named")
    stuck.kill()
    stage.remove("relay-stuck")
    stage.actors["relay"].start()
    wait_until(lambda: red(stage) == [], 45, "green again")
    stage.quiesce()
    fault("the sender's loop blocked while the relay's thread goes on", 1)
