"""Redis holds hints, counters and caches: what is lost with it, and what is not."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import redis

from portal.core.jobs import JOBS, queue_on
from portal.core.queues import QueueName
from portal.simulator.browser import Browser, Refused, path_of
from portal.simulator.tally import Tally
from tests.faults.load import Load
from tests.faults.processes import wait_until
from tests.faults.stage import Stage

Fault = Callable[[str, int], None]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(700)]

# Longer than anything that is kept for want of it, and than a restart by hand takes.
AWAY_S = 300.0


def times(load: Load, step: str) -> list[float]:
    return list(load.tally._seconds[step])


@pytest.mark.proves("F5")
def test_redis_that_forgets_everything_costs_nothing_and_signs_nobody_out(stage: Stage, fault: Fault) -> None:
    flushes = 10
    traders = len(stage.world["simulation"]["traders"])
    with stage.load(seed=5) as load:
        wait_until(lambda: len(times(load, "sign in")) >= traders, 30, "everybody has signed in")
        before = load.acts
        for _ in range(flushes):
            stage.flush()
            time.sleep(1)
        stage.empty_redis()
        wait_until(lambda: load.acts > before + 20, 30, "work goes on")
        assert len(times(load, "sign in")) == traders
        assert server_errors(load) == {}
    stage.quiesce()
    fault("FLUSHALL each second under load, then killed and started empty", flushes + 1)


@pytest.mark.proves("F6")
def test_without_redis_money_goes_on_and_passwords_are_still_counted(stage: Stage, fault: Fault) -> None:
    with stage.load(seed=6) as load:
        usual = statistics.median(times(load, "create"))
        stage.kill_redis()
        gone_at = time.monotonic()
        created, begun = load.created, len(times(load, "create"))
        guess_passwords(stage)
        wait_until(lambda: load.created > created + 20, 60, "twenty orders without Redis")
        while (left := gone_at + AWAY_S - time.monotonic()) > 0:
            before = load.acts
            time.sleep(min(left, 20))
            assert load.acts > before or left < 20, "work goes on"
        without = times(load, "create")[begun:]
        assert server_errors(load) == {}
        # The page is as quick as ever: nobody waits for what is not there.
        assert statistics.median(without) < max(usual * 3, 0.5), (usual, without)
        assert max(without) < 3.0
        assert stage.readiness()[0] == 200
        stage.redis.start()
        wait_until(lambda: takes_hints(stage), 70, "workers are back at it")
    stage.quiesce()
    fault(f"killed under load for {AWAY_S / 60:.0f} minutes; 14 wrong passwords meanwhile; started again", 1)


def guess_passwords(stage: Stage) -> None:
    """Ten wrong ones, and even the right one has to wait."""
    login = stage.world["logins"]["support"]
    tally = Tally()
    browser = Browser(stage.base_url, tally.timed)
    for password in [f"wrong-{n}" for n in range(14)] + [login["password"]]:
        page = browser.open("/sign-in", "page")
        form = page.form_to("/sign-in")
        assert form is not None
        with suppress(Refused):
            answer = browser.submit(page, form, "sign in", {"email": login["email"], "password": password})
            assert path_of(answer.url) == "/sign-in", password
    browser.close()


def takes_hints(stage: Stage) -> bool:
    """Whether a worker does what it is asked for; asks anew each time."""
    with redis.Redis.from_url(stage.redis_url, socket_timeout=2) as client:
        queue = queue_on(client, QueueName.MATCHING)
        job = queue.enqueue_call(f"{JOBS}.match_waiting", ttl=30, result_ttl=60)
        time.sleep(0.5)
        return job.get_status() == "finished"


def server_errors(load: Load) -> dict[str, int]:
    """Answers that say that we have failed. A connection of the simulator's own that an earlier test cut is none."""
    own = {f"defect: {kind}" for kind in ("OperationalError", "AdminShutdown", "DatabaseError")}
    told = {kind: n for kind, n in load.tally.errors.items() if ": 5" in kind or "Error" in kind}
    return {kind: n for kind, n in told.items() if kind not in own}
