"""Background processes that are killed and frozen: what they had begun is done by others, once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.processes import wait_until
from tests.faults.stage import Stage

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

Fault = Callable[[str, int], None]
# The sender's lease with the stage's timeout of 2 s, and what a busy machine adds to a poll.
LEASE_S, POLL_S = 14, 6


@pytest.mark.proves("F3")
def test_what_a_killed_sender_had_in_hand_is_delivered_after_its_lease(stage: Stage, fault: Fault) -> None:
    rounds = 2
    for nth in range(rounds):
        with stage.load(seed=30 + nth):
            stage.shop.delay_s = 1.0
            wait_until(lambda: stage.shop.in_hand, 30, "a webhook is on its way")
            stage.actors["relay"].kill()
            stage.shop.delay_s = 0.0
            held = stage.sql("SELECT id FROM webhook_delivery WHERE lease_token IS NOT NULL")
            assert held
            killed_at = time.monotonic()
            stage.actors["relay"].start()
            wait_until(
                lambda held=held: not stage.sql(
                    "SELECT 1 FROM webhook_delivery WHERE id = ANY(%s) AND state <> 'delivered'", [row[0] for row in held]
                ),
                LEASE_S + POLL_S,
                "delivered after the lease",
            )  # fmt: skip
            assert time.monotonic() - killed_at < LEASE_S + POLL_S
        stage.quiesce()
    fault("relay killed (-9) with webhooks on their way, under load", rounds)


@pytest.mark.proves("F3")
def test_processes_that_are_killed_in_turn_leave_nothing_undone(stage: Stage, fault: Fault) -> None:
    kills = 0
    with stage.load(120, seed=33) as load:
        for role in ("worker-1", "clock", "relay", "worker-2", "relay", "clock"):
            acts = load.acts
            stage.actors[role].kill()
            kills += 1
            wait_until(lambda acts=acts: load.acts > acts + 10, 40, f"work goes on without {role}")
            stage.actors[role].start()
            wait_until(lambda acts=acts: load.acts > acts + 20, 40, f"work goes on with {role}")
    stage.quiesce()
    fault("relay, clock and both workers killed in turn under load", kills)


@pytest.mark.proves("F1")
def test_web_processes_that_are_killed_lose_nothing_they_had_acknowledged(stage: Stage, fault: Fault) -> None:
    kills = 0
    with stage.load(150, seed=11) as load:
        for _ in range(6):
            acts = load.acts
            wait_until(lambda acts=acts: load.acts > acts + 8, 40, "work goes on")
            os.kill(stage.actors["web"].children()[0], signal.SIGKILL)
            kills += 1
        stage.actors["web"].kill()
        stage.actors["web"].start()
        acts = load.acts
        wait_until(lambda acts=acts: load.acts > acts + 8, 40, "work goes on")
        assert load.tally.counts["created"] == len(set(load.order_ids))
    stage.quiesce()
    fault("web processes killed under load, one after the other, then all at once", kills + 1)
