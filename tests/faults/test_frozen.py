"""Processes that are frozen for longer than their lease, and several that do the same work at once."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.faults.processes import wait_until
from tests.faults.stage import Stage

Fault = Callable[[str, int], None]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

# As long as a letter is leased, and longer than all else is.
FROZEN_S = 120.0

_LEASED = "SELECT id FROM webhook_delivery WHERE lease_token IS NOT NULL"
_ATTEMPTS = """
SELECT d.id FROM webhook_delivery d JOIN webhook_attempt a ON a.delivery_id = d.id
 WHERE d.id = ANY(%s) GROUP BY d.id, d.attempts HAVING count(*) <> 1 OR d.attempts <> 1
"""


@pytest.mark.proves("F4")
def test_the_late_result_of_a_frozen_sender_counts_for_nothing(stage: Stage, fault: Fault) -> None:
    with stage.load(seed=4):
        stage.shop.delay_s = 1.0
        wait_until(lambda: stage.shop.in_hand, 30, "a webhook is on its way")
        stage.actors["relay"].freeze()
        frozen_at = time.monotonic()
        held = [row[0] for row in stage.sql(_LEASED)]
        assert held
        stage.shop.delay_s = 0.0
        stage.add("relay-2")
        wait_until(lambda: not _pending(stage, held), 40, "the other relay has delivered them")
        time.sleep(max(frozen_at + FROZEN_S - time.monotonic(), 0))
        sent = sum(stage.shop.sends.values())
        stage.actors["relay"].thaw()
        wait_until(lambda: sum(stage.shop.sends.values()) > sent, 40, "the frozen one is at work again")
        time.sleep(2)
    stage.quiesce()
    stage.remove("relay-2")
    # Sent twice, and told once: the second result of each was thrown away.
    assert stage.sql(_ATTEMPTS, held) == []
    fault(
        f"SIGSTOP with {len(held)} webhooks claimed, another relay delivers them, SIGCONT after {FROZEN_S:.0f} s",
        1,
    )


def _pending(stage: Stage, ids: list[object]) -> bool:
    rows = stage.sql("SELECT 1 FROM webhook_delivery WHERE id = ANY(%s) AND state = 'pending'", ids)
    return bool(rows)


@pytest.mark.proves("F4")
def test_a_frozen_clock_or_worker_leaves_its_work_to_its_twin(stage: Stage, fault: Fault) -> None:
    stage.add("clock-2")
    for nth, frozen_s in enumerate((0.0, FROZEN_S)):
        with stage.load(seed=40 + nth) as load:
            acting = _acting_clock(stage)
            for role in (acting, "worker-1"):
                stage.actors[role].freeze()
            frozen_at, before = time.monotonic(), load.acts
            wait_until(lambda load=load, before=before: load.acts > before + 20, 40, "work goes on")
            wait_until(lambda acting=acting: _acting_clock(stage) != acting, 20, "the other clock acts")
            time.sleep(max(frozen_at + frozen_s - time.monotonic(), 0))
            for role in (acting, "worker-1"):
                stage.actors[role].thaw()
        stage.quiesce()
    stage.remove("clock-2")
    fault(
        f"SIGSTOP of the acting clock and a worker for up to {FROZEN_S:.0f} s under load, the other clock acts, SIGCONT",
        2,
    )


def _acting_clock(stage: Stage) -> str:
    """The role whose process holds the lock, by the time it began to act."""
    told = {}
    for role, actor in stage.actors.items():
        lines = actor.log.read_text().splitlines() if role.startswith("clock") else []
        told |= {line: role for line in lines if '"this clock acts"' in line}
    return told[max(told, key=_at)]


def _at(line: str) -> str:
    return line.partition('"at":"')[2][:32]


@pytest.mark.proves("F8")
def test_three_of_everything_have_one_effect(stage: Stage, fault: Fault) -> None:
    extra = ("relay-2", "relay-3", "clock-2", "clock-3", "worker-3")
    for role in extra:
        stage.add(role)
    twice = stage.one("SELECT count(*) FROM webhook_attempt")
    sends = sum(stage.shop.sends.values())
    with stage.load(120, seed=8) as load:
        wait_until(lambda: load.acts > 150, 90, "150 deeds")
    stage.quiesce()
    for role in extra:
        stage.remove(role)
    # Nothing was killed, so that nothing had a reason to be sent twice.
    attempts = stage.one("SELECT count(*) FROM webhook_attempt") - twice
    assert sum(stage.shop.sends.values()) - sends == attempts

    fault(f"3 relays, 3 clocks, 3 workers; {load.acts} deeds, {attempts} webhooks", 1)
