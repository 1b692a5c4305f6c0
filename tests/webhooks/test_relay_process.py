"""`flask relay` as it runs in production: several processes, killed, frozen and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portal.settings import Settings
from tests.webhooks.conftest import LEASE_S, Stage
from tests.webhooks.receiver import receiver, status, wait_until

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.races, pytest.mark.stages]

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(stage: Stage) -> Iterator[Start]:
    """Start a relay process that may call loopback; whatever is left at the end is killed."""
    settings: Settings = stage.app.extensions["nostro_settings"]
    environment = os.environ | {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "WEBHOOKS_ALLOW_HTTP": "false",
        "EGRESS_ALLOW_NETWORKS": "127.0.0.0/8",
    }
    running: list[subprocess.Popen[bytes]] = []

    def start_one() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "flask", "--app", "wsgi:app", "relay"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment)
        running.append(process)
        return process

    yield start_one
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def test_nothing_is_lost_when_one_of_two_is_killed_mid_way(stage: Stage, start: Start) -> None:
    with receiver(status(200, after_s=0.03)) as shop:
        endpoints = [stage.endpoint(shop.url)[0] for _ in range(5)]
        expected = set()
        first, _second = start(), start()
        for _ in range(4):
            for endpoint in endpoints:
                expected |= set(stage.happen(endpoint.store_id, 15))
            killed_at = len(shop.received)
            wait_until(lambda at=killed_at: len(shop.received) > at + 20, 60)
            first.kill()
            first.wait(5)
            stage.pass_time(LEASE_S + 1)
            first = start()
        stage.pass_time(LEASE_S + 1)
        lines = [line for endpoint in endpoints for line in stage.deliveries(endpoint)]
        wait_until(
            lambda: (
                sum(
                    line.state == "delivered" for endpoint in endpoints for line in stage.deliveries(endpoint)
                )
                == len(expected)
            ),
            60,
        )
    lines = [line for endpoint in endpoints for line in stage.deliveries(endpoint)]
    assert {line.event_id for line in lines} == expected
    assert len({request.id for request in shop.received}) == len(expected)
    # Kills may repeat a request that was on its way, never more than was in flight.
    assert len(shop.received) <= len(expected) + 4 * 4 * len(endpoints) * 2


def test_one_that_was_frozen_past_its_lease_has_its_late_result_discarded(stage: Stage, start: Start) -> None:
    with receiver(status(200, after_s=0.5)) as shop:
        endpoint, _ = stage.endpoint(shop.url)
        frozen = start()
        stage.happen(endpoint.store_id)
        wait_until(lambda: len(shop.received) == 1, 60)
        frozen.send_signal(signal.SIGSTOP)
        stage.pass_time(LEASE_S + 1)
        start()
        wait_until(lambda: [d.state for d in stage.deliveries(endpoint)] == ["delivered"], 60)
        frozen.send_signal(signal.SIGCONT)
        frozen.send_signal(signal.SIGTERM)
        assert frozen.wait(10) == 0
        (line,) = stage.deliveries(endpoint)
        assert (line.state, line.attempts, len(stage.attempts(line))) == ("delivered", 1, 1)
        assert len(shop.received) == 2


def test_it_stops_within_five_seconds_and_gives_back_what_it_had(stage: Stage, start: Start) -> None:
    with receiver(status(200, after_s=60)) as shop:
        endpoint, _ = stage.endpoint(shop.url)
        process = start()
        stage.happen(endpoint.store_id, 3)
        wait_until(lambda: len(shop.received) == 3, 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0  # 5 s of its own, and what a busy machine adds
        assert [(d.state, d.lease_until) for d in stage.deliveries(endpoint)] == [("pending", None)] * 3
