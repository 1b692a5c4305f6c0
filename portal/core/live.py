"""Hints to open pages: "look again". Lost when Redis is away, which costs one polling interval."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from functools import lru_cache

import redis

from portal.settings import get_settings

log = logging.getLogger(__name__)
PREFIX = "live:"

HEARTBEAT_S = 15.0
# Streams end by themselves, so that a deploy drains; the page opens a new one.
LIFETIME_S = 300.0
# Each open stream occupies a thread of its process: beyond this, pages poll.
MAX_STREAMS = 200
# Nudges of one transaction and its neighbours become one look.
_GATHER_S = 0.15

_streams = threading.BoundedSemaphore(MAX_STREAMS)


@lru_cache(maxsize=1)
def _publisher() -> redis.Redis:
    settings = get_settings()
    return redis.Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
    )


def nudge(*channels: str) -> None:
    """Tell everyone who listens to these channels (`trader:<id>`, `order:<id>`) to look again."""
    try:
        pipeline = _publisher().pipeline(transaction=False)
        for channel in channels:
            pipeline.publish(PREFIX + channel, b"1")
        pipeline.execute()
    except redis.RedisError:
        log.debug("a nudge was lost", exc_info=True)


def take_stream() -> bool:
    """Reserve one of the process's streams; give it back with `give_stream_back`. False when all are taken."""
    return _streams.acquire(blocking=False)


def give_stream_back() -> None:
    _streams.release()


def listen(
    channels: tuple[str, ...], *, heartbeat_s: float = HEARTBEAT_S, lifetime_s: float = LIFETIME_S
) -> Iterator[bool]:
    """True for each nudge (several at once count as one), False when `heartbeat_s` passed without any.

    Yields False at once when the subscription stands, so that a page knows what it may have missed before.
    Ends after `lifetime_s`, and when Redis goes away. Hold no database connection while iterating.
    """
    # A blocking read must be allowed to last longer than the timeout of ordinary commands.
    settings = get_settings()
    client = redis.Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=heartbeat_s + 5,
        socket_connect_timeout=settings.redis_timeout_s,
    )
    pubsub = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    ends_at = time.monotonic() + lifetime_s
    try:
        pubsub.subscribe(*(PREFIX + channel for channel in channels))
        yield False
        while (left := ends_at - time.monotonic()) > 0:
            heard = _next(pubsub, min(heartbeat_s, left))
            if heard:
                gathered_until = time.monotonic() + _GATHER_S
                while (wait := gathered_until - time.monotonic()) > 0:
                    _next(pubsub, wait)
            yield heard
    except redis.RedisError:
        log.info("a live stream ended: Redis does not answer")
    finally:
        pubsub.close()
        client.close()


def _next(pubsub: redis.client.PubSub, wait_s: float) -> bool:
    """Whether a nudge came within `wait_s`."""
    until = time.monotonic() + wait_s
    while (left := until - time.monotonic()) > 0:
        message = pubsub.get_message(timeout=left)
        if message is not None and message["type"] == "message":
            return True
    return False
