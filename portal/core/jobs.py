"""Jobs put into a queue of Redis: asking the worker to do something sooner. The clock finds the same work without them."""

from __future__ import annotations

import redis
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

from portal.core.observability.trace import request_id_now
from portal.core.queues import QueueName
from portal.core.redis import request_client

# Which queue each job belongs to: a worker can be given to some of them alone.
QUEUES = {"match_waiting": QueueName.MATCHING, "refresh_rates": QueueName.MAINTENANCE}
JOBS = "portal.workers.jobs"
# A job that nobody took in this time is worth nothing any more.
TTL_S = 30
TIMEOUT_S = 60
# A failed one is in the log; kept longer it would keep its successors out.
FAILURE_TTL_S = 1


def queue_on(connection: redis.Redis, queue: QueueName = QueueName.MATCHING) -> Queue:
    """The jobs of this queue, with JSON for everything that is put into Redis."""
    return Queue(f"nostro:{queue.value}", connection=connection, serializer=JSONSerializer)


def enqueue_job(job: str) -> None:
    """Put a job of `portal.workers.jobs` into the queue, unless it waits there already.

    Call it after the commit. Raises redis.RedisError when Redis is away, which is nobody's concern then.
    """
    try:
        queue_on(request_client(), QUEUES[job]).enqueue_call(
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
