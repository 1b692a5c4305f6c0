"""Too much to do: other programs that take the processor, and a merchant who takes all there is."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from tests.faults.processes import wait_until
from tests.faults.stage import Stage

Fault = Callable[[str, int], None]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

GRACE_S = 10.0
_LATENESS = """
SELECT max(extract(epoch FROM v.at - o.pay_by))::float8 FROM orders o JOIN order_event v ON v.order_id = o.id
 WHERE o.id = ANY(%s) AND v.to_status = 'expired'
"""
_SHORTEN = """
UPDATE orders SET due_at = now() + interval '3 s', pay_by = now() + interval '3 s'
 WHERE status = 'awaiting_payment' AND direction = 'payin' AND due_at > now() + interval '60 s'
RETURNING id
"""


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """Programs that do nothing but count."""
    fire = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for one in fire:
            one.kill()
            one.wait()


@pytest.mark.proves("F29")
def test_a_busy_machine_is_late_within_its_grace_and_does_nothing_twice(stage: Stage, fault: Fault) -> None:
    rounds = 3
    with stage.load(60, seed=29) as load, burning(4):
        for _ in range(rounds):
            time.sleep(3)
            ids = [row[0] for row in stage.sql(_SHORTEN)]
            time.sleep(3 + GRACE_S)
            left = stage.sql("SELECT id FROM orders WHERE id = ANY(%s) AND status = 'awaiting_payment'", ids)
            assert left == []
            late_s = stage.one(_LATENESS, ids)
            assert late_s is None or late_s < GRACE_S
        assert not any(": 500" in kind for kind in load.tally.errors), load.tally.errors
    stage.quiesce()
    fault("four programs that take all they get, deadlines of 3 s under load", rounds)


@dataclass
class Caller:
    """A merchant's program that creates payins at its own pace."""

    stage: Stage
    key: str
    pause_s: float
    seconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        with httpx.Client(base_url=self.stage.base_url, timeout=20) as client:
            while not stop.wait(self.pause_s):
                amount = f"{1000 + len(self.seconds)}.00"
                body = {"direction": "payin", "amount": amount, "currency": "RUB", "method": "card"}
                headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": uuid.uuid4().hex}
                began_at = time.monotonic()
                answer = client.post("/api/v1/orders", json=body, headers=headers)
                self.seconds.append(time.monotonic() - began_at)
                self.statuses.append(answer.status_code)


@pytest.mark.proves("F34")
def test_a_merchant_and_a_trader_who_are_very_busy_keep_nobody_else_waiting(
    stage: Stage, fault: Fault
) -> None:
    # One trader gets all of the busy shop's orders; the quiet shop has another.
    hot = [Caller(stage, stage.world["simulation"]["api_key"], 0.05) for _ in range(4)]
    quiet = Caller(stage, stage.world["api_keys"]["live"], 0.5)
    stop = threading.Event()
    threads = [threading.Thread(target=one.run, args=(stop,)) for one in [*hot, quiet]]
    for thread in threads:
        thread.start()
    time.sleep(15)
    stop.set()
    for thread in threads:
        thread.join(30)
    created = sum(len(one.statuses) for one in hot)
    assert set(quiet.statuses) == {201}
    assert len(quiet.statuses) >= 10
    busy, calm = statistics.median(s for one in hot for s in one.seconds), statistics.median(quiet.seconds)
    assert calm < busy * 3 + 0.1, (calm, busy)
    store = "SELECT count(*) FROM orders o JOIN store s ON s.id = o.store_id WHERE s.name = 'Acme shop' AND o.status = %s"
    assert stage.one(store, "awaiting_payment") == len(quiet.statuses)
    wait_until(lambda: not stage.sql(_UNTOLD), 20, "the quiet shop is told of all its orders")
    stage.quiesce()
    fault(f"{created} orders of one shop beside {len(quiet.statuses)} of another", 1)


_UNTOLD = """
SELECT v.id FROM event v JOIN store s ON s.id = v.store_id LEFT JOIN webhook_delivery d ON d.event_id = v.id
 WHERE s.name = 'Acme shop' AND v.mode = 'live' AND d.state IS DISTINCT FROM 'delivered'
"""
