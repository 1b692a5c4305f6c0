"""Asking the worker to do something sooner. Only a hint: the clock finds the same work without it."""

from __future__ import annotations

from functools import lru_cache

import redis
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

from portal.core.trace import request_id_now
from portal.settings import get_settings

QUEUE = "nostro"
JOBS = "portal.workers.jobs"
# A hint that nobody took in this time is worth nothing any more.
TTL_S = 30
TIMEOUT_S = 60
# A failed one is in the log; kept longer it would keep its successors out.
FAILURE_TTL_S = 1


def queue_on(connection: redis.Redis) -> Queue:
    """The queue, with JSON for everything that is put into Redis."""
    return Queue(QUEUE, connection=connection, serializer=JSONSerializer)


@lru_cache(maxsize=1)
def _queue(url: str, timeout_s: float) -> Queue:
    return queue_on(redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s))


def hint(job: str) -> None:
    """Put a job of `portal.workers.jobs` into the queue, unless it waits there already.

    Call it after the commit. Raises redis.RedisError when Redis is away, which is nobody's concern then.
    """
    settings = get_settings()
    queue = _queue(settings.redis_url.get_secret_value(), settings.redis_timeout_s)
    try:
        queue.enqueue_call(
            f"{JOBS}.{job}",
            job_id=job,
            unique=True,
            ttl=TTL_S,
            timeout=TIMEOUT_S,
            result_ttl=0,
            failure_ttl=FAILURE_TTL_S,
            meta={"request_id": request_id_now()},
        )
    except DuplicateJobError:
        return
