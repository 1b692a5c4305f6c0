"""`flask worker`: executes jobs from the queues. Wiping Redis, or having none, costs latency and nothing else."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from inspect import isfunction
from threading import Event

import redis
from flask import Flask
from rq import Queue, SimpleWorker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer

from portal.core.jobs import JOBS, queue_on
from portal.core.observability import metrics
from portal.core.observability.trace import traced
from portal.core.processes.presence import at_work, present
from portal.core.processes.stopping import stop_on_signals
from portal.core.queues import WITH_JOBS, QueueName
from portal.core.redis import worker_client

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
# Redis forgets a worker that has not been heard of for so long.
WORKER_TTL_S = 60


class TracedWorker(SimpleWorker):
    """Gives each job the id of the request that asked for it, and times it."""

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        name = job.func_name if job.func_name in _known_jobs() else "other"
        began_at = time.monotonic()
        with traced(f"job: {name}", (job.meta or {}).get("request_id")), at_work("worker", name):
            is_done = bool(super().perform_job(job, queue, execution))
        metrics.jobs.labels(name, "done" if is_done else "failed").observe(time.monotonic() - began_at)
        return is_done


@lru_cache(maxsize=1)
def _known_jobs() -> frozenset[str]:
    module = import_module(JOBS)
    return frozenset(f"{JOBS}.{name}" for name, value in vars(module).items() if isfunction(value))


def run_worker(app: Flask, queues: Sequence[QueueName] = WITH_JOBS) -> None:
    """Do the jobs of these queues, the first one's first, until SIGTERM or SIGINT; while Redis is away, wait for it."""
    with present(app, "worker", "worker"):
        _work_until_stopped(queues)


def _work_until_stopped(queues: Sequence[QueueName]) -> None:
    stop = stop_on_signals()
    wait_s = FIRST_WAIT_S
    while not stop.is_set():
        connection = worker_client()
        try:
            connection.ping()
            log.info("worker started")
            wait_s = FIRST_WAIT_S
            _work(connection, queues)
            log.info("worker stopped")
            return
        except redis.RedisError as error:
            log.warning("the worker can't reach Redis (%s); trying again", type(error).__name__)
        finally:
            connection.close()
        stop = _wait(stop, wait_s)
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def _work(connection: redis.Redis, queues: Sequence[QueueName]) -> None:
    """Returns when it was asked to stop. Raises redis.RedisError."""
    worker = TracedWorker(
        [queue_on(connection, queue) for queue in queues],
        connection=connection,
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL_S,
        log_job_description=False,
    )
    worker.work(logging_level="WARNING")


def _wait(former: Event, seconds: float) -> Event:
    """RQ has put its own signal handlers in place; take them back before waiting."""
    if former.is_set():
        return former
    stop = stop_on_signals()
    stop.wait(seconds)
    return stop
