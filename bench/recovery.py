"""How soon work flows again after something was killed, and whether processes grow: the whole house under load.

It runs on the stage of the fault tests: servers of its own, web, workers, relay and clock as separate processes, the
simulator as customers and traders.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

from bench.run import Run
from tests.faults.load import Load
from tests.faults.stage import Stage

POLL_S = 0.05
GIVE_UP_S = 120.0
PER_MINUTE = 120.0
# As fast as the machine can, until as many orders were made as `flask simulate` makes in an hour.
AT_ONCE_PER_MINUTE = 3000.0
HOURS_ORDERS = 1800
MEMORY_WITHIN_S = 360.0
GROWTH = 1.1

_ORDER = "SELECT 1 FROM orders WHERE created_at > %s LIMIT 1"
_TOLD = """
SELECT 1 FROM webhook_delivery d JOIN event v ON v.id = d.event_id
 WHERE v.created_at > %s AND d.state = 'delivered' LIMIT 1
"""
_BEAT = "SELECT 1 FROM heartbeat WHERE role = 'clock' AND beat_at > %s"


def measure(run: Run) -> None:
    """Seconds from each kind of kill, started again at once as a supervisor would, until its work is done again."""
    rounds = 1 if run.seconds < 3 else 3
    stage = Stage()
    # What the simulator runs into while something is away is what is measured here.
    logging.disable(logging.CRITICAL)
    try:
        stage.start()
        stage.add("clock-2")
        with stage.load(PER_MINUTE):
            for what, (break_it, flows, at_most_s) in _kinds(stage).items():
                seconds = [_recovered(stage, break_it, flows) for _ in range(rounds)]
                run.table.at_most(
                    f"recovery: {what}", statistics.median(seconds), at_most_s, 1.0, "s",
                    f"slowest of {rounds}: {max(seconds):.1f} s",
                )  # fmt: skip
        stage.quiesce()
    finally:
        logging.disable(logging.NOTSET)
        stage.stop()


Flows = Callable[[Any], bool]


def _kinds(stage: Stage) -> dict[str, tuple[Callable[[], None], Flows, float]]:
    """What is broken and mended, when work flows again, and within how many seconds it should."""
    told = _since(stage, _TOLD)
    return {
        "web killed, until the next order": (lambda: _restart(stage, "web"), _since(stage, _ORDER), 10.0),
        "workers killed, until the next job": (
            lambda: _restart(stage, "worker-1", "worker-2"), lambda _moment: _is_job_done(stage), 10.0,
        ),
        "relay killed, until the next webhook": (lambda: _restart(stage, "relay"), told, 10.0),
        "acting clock killed, until the next beat": (lambda: _kill_acting_clock(stage), _since(stage, _BEAT), 5.0),
        "PostgreSQL restarted, until the next webhook": (lambda: _restart_postgres(stage), told, 10.0),
        "PostgreSQL killed, until the next webhook": (lambda: _kill_postgres(stage), told, 20.0),
        "Redis emptied, until the next webhook": (stage.flush, told, 5.0),
    }  # fmt: skip


def _recovered(stage: Stage, break_it: Callable[[], None], flows: Flows) -> float:
    moment = stage.one("SELECT clock_timestamp()")
    started = time.monotonic()
    break_it()
    while not _holds(flows, moment):
        assert time.monotonic() - started < GIVE_UP_S, "work does not flow again"
        time.sleep(POLL_S)
    seconds = time.monotonic() - started
    stage.wait_until_ready()
    return seconds


def _holds(flows: Flows, moment: Any) -> bool:
    """Nobody can tell while the server is away."""
    with suppress(psycopg.Error, redis.RedisError):
        return flows(moment)
    return False


def _since(stage: Stage, sql: str) -> Flows:
    return lambda moment: bool(stage.sql(sql, moment))


def _restart(stage: Stage, *roles: str) -> None:
    for role in roles:
        stage.actors[role].kill()
    for role in roles:
        stage.actors[role].start()


def _kill_acting_clock(stage: Stage) -> None:
    """The one that stands by takes over; which one acts is seen by whose connection holds the lock."""
    roles = ("clock", "clock-2")
    acting = next((role for role in roles if _is_acting(stage, role)), roles[0])
    stage.actors[acting].kill()
    stage.actors[acting].start()


def _is_acting(stage: Stage, role: str) -> bool:
    """A clock that acts works, one that stands by does not."""
    before = _processor_ticks(stage.actors[role].pid)
    time.sleep(0.5)
    return _processor_ticks(stage.actors[role].pid) - before >= 3


def _processor_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _restart_postgres(stage: Stage) -> None:
    stage.postgres.stop()
    stage.postgres.start()


def _kill_postgres(stage: Stage) -> None:
    stage.kill_postgres()
    stage.postgres.start()


def _is_job_done(stage: Stage) -> bool:
    """A job that is put into the queue now is done within a moment."""
    from portal.core.jobs import JOBS, queue_on

    with redis.Redis.from_url(stage.redis_url, socket_timeout=2) as connection:
        job = queue_on(connection).enqueue_call(f"{JOBS}.match_waiting", result_ttl=30, failure_ttl=30)
        for _ in range(10):
            time.sleep(POLL_S)
            if job.is_finished:
                return True
        job.delete()
    return False


def measure_memory(run: Run) -> None:
    """Private memory of each process after a quarter and at the end of an hour's worth of orders."""
    orders = 240 if run.seconds < 3 else HOURS_ORDERS
    stage = Stage()
    try:
        stage.start()
        with stage.load(AT_ONCE_PER_MINUTE) as load:
            started = time.monotonic()
            _until(load, orders // 4, started)
            early, first = _resident(stage), load.created
            _until(load, orders, started)
            late, last = _resident(stage), load.created
    finally:
        stage.stop()
    for role, mb in late.items():
        run.table.at_most(
            f"memory of {role} after {last:,} orders to that after {first:,}", mb, early[role], GROWTH, "MiB"
        )


def _until(load: Load, orders: int, started: float) -> None:
    while load.created < orders and time.monotonic() - started < MEMORY_WITHIN_S:
        time.sleep(0.5)


def _resident(stage: Stage) -> dict[str, float]:
    return {role: actor.resident_mb() for role, actor in stage.actors.items()}
