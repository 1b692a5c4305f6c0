"""Every client of Redis is made here, with the time limits of its use.

Redis holds hints, counters and copies, so none of them may keep anybody waiting: what a request asks has a short
limit and goes through the circuit breaker (`guarded_client`). Who listens, or waits for jobs, waits without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from portal.core.circuit_breaker import asking
from portal.settings import Settings, get_settings

# A worker and a listener have nothing else to do, but must notice that they were told to stop.
WORKER_CONNECTS_WITHIN_S = 2.0
LISTENER_CONNECTS_WITHIN_S = 1.0


def request_client() -> redis.Redis:
    """What all threads of this process share, as bytes: connects and answers within REDIS_TIMEOUT_S, or raises.

    Never close it. What is asked on somebody's time goes through `guarded_client`; this is for what has to be
    tried although Redis was slow a moment ago (telling others of a change), and for what nobody waits for.
    """
    settings = get_settings()
    return _shared(settings.redis_url.get_secret_value(), settings.redis_timeout_s)


@lru_cache(maxsize=1)
def _shared(url: str, timeout_s: float) -> redis.Redis:
    return _impatient(url, timeout_s)


def _impatient(url: str, timeout_s: float) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)


@contextmanager
def guarded_client() -> Iterator[redis.Redis]:
    """`request_client` behind the circuit breaker. Raises LeftAlone (a RedisError) while Redis is left alone."""
    with asking():
        yield request_client()


def own_client(settings: Settings) -> redis.Redis:
    """With the same limits, to be closed: for whoever wants to know how Redis is, and connects anew for that."""
    return _impatient(settings.redis_url.get_secret_value(), settings.redis_timeout_s)


def worker_client() -> redis.Redis:
    """For RQ, to be closed: it waits for the next job as long as it likes, in bytes."""
    url = get_settings().redis_url.get_secret_value()
    return redis.Redis.from_url(url, socket_connect_timeout=WORKER_CONNECTS_WITHIN_S)


def listening_client(url: str) -> redis.Redis:
    """For a thread that listens to messages, to be closed: how long it waits, it says with each question."""
    return redis.Redis.from_url(url, socket_connect_timeout=LISTENER_CONNECTS_WITHIN_S)


def async_listening_client(url: str, connect_within_s: float) -> redis.asyncio.Redis:
    """The same for an asyncio loop. It tries once and raises: its loop says so in the log and tries again itself."""
    return redis.asyncio.Redis.from_url(
        url, socket_connect_timeout=connect_within_s, retry=Retry(NoBackoff(), 0)
    )
