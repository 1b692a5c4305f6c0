"""Web processes say that they are there; one that is frozen does not, and its silence is given back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.orders.queries import get_order
from portal.orders.service import act_on_due_orders
from portal.orders.service.silences import beat
from portal.workers.supervisor import ROOT, gunicorn
from tests.scene import Scene, build_scene

pytestmark = [pytest.mark.races, pytest.mark.timeout(240)]
FROZEN_S = 14


def beaten() -> datetime | None:
    with transaction():
        rows = hot("SELECT beat_at FROM heartbeat WHERE role = 'web'")
    return rows[0]["beat_at"] if rows else None


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.fixture
def web(committed_db: Flask) -> Iterator[subprocess.Popen[bytes]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = gunicorn(f"127.0.0.1:{port}", workers=2, threads=2)
    process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), start_new_session=True)
    yield process
    for number in (signal.SIGCONT, signal.SIGKILL):
        os.killpg(process.pid, number)
    process.wait()
    with transaction():
        hot("DELETE FROM heartbeat WHERE role = 'web'")
        hot("UPDATE requisite SET payin_on = false, payout_on = false")


@pytest.mark.proves("tried C7")
@pytest.mark.stages
def test_what_a_customer_could_not_reach_waits_for_them(web: subprocess.Popen[bytes]) -> None:
    with transaction():
        scene: Scene = build_scene()
    scene.requisite(scene.trader())
    wait_for(lambda: beaten() is not None)
    beat(60)
    order = scene.payin()
    with transaction():
        hot(
            "UPDATE orders SET due_at = clock_timestamp() + interval '5 s', pay_by = clock_timestamp() + interval '5 s'"
            " WHERE id = %(id)s",
            {"id": order.id},
        )
        due = get_order(order.id).due_at
    os.killpg(web.pid, signal.SIGSTOP)
    frozen_at, last = time.monotonic(), beaten()
    while time.monotonic() < frozen_at + FROZEN_S:
        beat(60)
        assert act_on_due_orders() == 0
        time.sleep(0.5)
    os.killpg(web.pid, signal.SIGCONT)
    wait_for(lambda: beaten() != last)
    given_back = beat(60)
    assert given_back is not None
    assert timedelta(seconds=FROZEN_S - 3) < given_back < timedelta(seconds=FROZEN_S + 30)
    with transaction():
        now = get_order(order.id)
    assert due is not None
    assert now.due_at is not None
    assert (now.status, now.due_at - due > timedelta(seconds=5)) == ("awaiting_payment", True)
    wait_for(lambda: beat(60) is None and act_on_due_orders() == 1)


@pytest.mark.proves("tried C7")
def test_commands_are_no_doors(committed_db: Flask) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi:app", "maintenance", "status"], cwd=ROOT, env=dict(os.environ),
        capture_output=True, check=True,
    )  # fmt: skip
    assert shown.stdout
    assert beaten() is None
