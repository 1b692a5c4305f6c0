"""A worker that is killed or cut off in the middle of a job, and the same job done by another meanwhile."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest
import redis

from portal.core.db import db, transaction
from portal.core.ids import parse_public_id
from portal.core.jobs import JOBS, queue_on
from portal.core.queues import QueueName
from portal.traders.service import set_working
from tests.faults.processes import wait_until
from tests.faults.stage import Stage

Fault = Callable[[str, int], None]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]
_numbers = itertools.count(1)


@pytest.mark.proves("F2")
@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_job_whose_worker_is_lost_in_its_middle_has_one_effect(
    stage: Stage, fault: Fault, how: str
) -> None:
    first, second, clock = (stage.actors[role] for role in ("worker-1", "worker-2", "clock"))
    second.stop()
    # Else the clock would do the job before the second worker comes to it.
    clock.freeze()
    order = waiting_order(stage)
    with nobody_writes_timelines(stage):
        ask(stage)
        wait_until(lambda: stage.sql(_BLOCKED), 20, "the job is in its middle")
        first.kill() if how == "killed" else first.freeze()
    second.start()
    ask(stage)
    if how == "frozen":
        # PostgreSQL ends its transaction after ten idle seconds; it wakes up in the middle of that.
        wait_until(lambda: taken(stage), 20, "the second worker has done the job")
        first.thaw()
        ask(stage)
    wait_until(lambda: matched(stage, order) == 1, 30, "the order is matched")
    clock.thaw()
    if not first.is_running:
        first.start()
    stage.quiesce()
    assert matched(stage, order) == 1
    fault(f"worker {how} while its job waits for a lock, the job asked for again", 1)


_BLOCKED = """
SELECT 1 FROM pg_locks l WHERE NOT l.granted AND l.relation = 'order_event'::regclass
"""


@contextmanager
def nobody_writes_timelines(stage: Stage) -> Iterator[None]:
    with psycopg.connect(stage.dsn) as holder:
        holder.execute("LOCK TABLE order_event IN EXCLUSIVE MODE")
        yield
        holder.rollback()


def waiting_order(stage: Stage) -> uuid.UUID:
    """A payin that found nobody, and traders who are back at work, without anybody being told."""
    crew = [row[0] for row in stage.sql("SELECT id FROM trader WHERE mode = 'live' AND is_working")]
    switch(stage, crew, working=False)
    body = {
        "direction": "payin",
        "amount": f"{1700 + next(_numbers)}.00",
        "currency": "RUB",
        "method": "card",
    }
    answer = httpx.post(
        f"{stage.base_url}/api/v1/orders",
        json=body,
        headers={
            "Authorization": f"Bearer {stage.world['simulation']['api_key']}",
            "Idempotency-Key": uuid.uuid4().hex,
        },
        timeout=20,
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "matching"
    switch(stage, crew, working=True)
    order = parse_public_id("ord", answer.json()["id"])
    assert order is not None
    stage.sql("UPDATE orders SET retry_at = now() WHERE id = %s", order)
    return order


def switch(stage: Stage, crew: list[uuid.UUID], *, working: bool) -> None:
    with stage.app.app_context():
        db.engine.dispose()
        with transaction():
            for trader in crew:
                set_working(trader, working)
        db.session.remove()


def ask(stage: Stage) -> None:
    """A hint under a name of its own: as if the first had been given up for lost."""
    with redis.Redis.from_url(stage.redis_url) as client:
        queue_on(client, QueueName.MATCHING).enqueue_call(f"{JOBS}.match_waiting", ttl=60, result_ttl=60)


def taken(stage: Stage) -> bool:
    with redis.Redis.from_url(stage.redis_url) as client:
        return queue_on(client, QueueName.MATCHING).count == 0


def matched(stage: Stage, order: uuid.UUID) -> int:
    return int(stage.one("SELECT count(*) FROM order_event WHERE order_id = %s AND event = 'matched'", order))
