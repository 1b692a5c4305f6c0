"""Hints to open pages: "look again". Lost when Redis is away, which costs one polling interval."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import redis

from portal.settings import get_settings

log = logging.getLogger(__name__)
PREFIX = "live:"

HEARTBEAT_S = 15.0
# Streams end by themselves, so that a deploy drains; the page opens a new one.
LIFETIME_S = 300.0
# Each open stream occupies a thread of its process: beyond this, pages poll.
MAX_STREAMS = 200
# A bell rings on every page, and can wait: it must not take the threads of whoever is at work.
MAX_BELLS = 16
# Nudges of one transaction and its neighbours become one look.
_GATHER_S = 0.15
_BATCH_S = 0.01

_streams = threading.BoundedSemaphore(MAX_STREAMS)
_bells = threading.BoundedSemaphore(MAX_BELLS)


class _Publisher(threading.Thread):
    """Sends a process's nudges in batches, so that nobody's request waits for Redis."""

    def __init__(self) -> None:
        super().__init__(name="nudges", daemon=True)
        self.pid = os.getpid()
        self.waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def run(self) -> None:
        settings = get_settings()
        client = redis.Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=settings.redis_timeout_s,
            socket_connect_timeout=settings.redis_timeout_s,
        )
        while True:
            channels = {self.waiting.get()}
            time.sleep(_BATCH_S)
            with suppress(queue.Empty):
                while True:
                    channels.add(self.waiting.get_nowait())
            try:
                pipeline = client.pipeline(transaction=False)
                for channel in channels:
                    pipeline.publish(PREFIX + channel, b"1")
                pipeline.execute()
            except redis.RedisError:
                log.debug("nudges were lost", exc_info=True)


_starting = threading.Lock()
_publisher: _Publisher | None = None


def nudge(*channels: str) -> None:
    """Tell everyone who listens to these channels (`trader:<id>`, `order:<id>`) to look again.

    Returns at once; what is lost with the process or with Redis costs one polling interval.
    """
    global _publisher  # noqa: PLW0603 - one thread a process, begun by its first nudge
    publisher = _publisher
    if publisher is None or publisher.pid != os.getpid():
        with _starting:
            publisher = _publisher
            if publisher is None or publisher.pid != os.getpid():
                publisher = _publisher = _Publisher()
                publisher.start()
    for channel in channels:
        publisher.waiting.put(channel)


def take_stream() -> bool:
    """Reserve one of the process's streams; give it back with `give_stream_back`. False when all are taken."""
    return _streams.acquire(blocking=False)


def give_stream_back() -> None:
    _streams.release()


def take_bell() -> bool:
    """As `take_stream`, for a page that listens for its bell alone; give it back with `give_bell_back`."""
    return _bells.acquire(blocking=False)


def give_bell_back() -> None:
    _bells.release()


def open_streams() -> tuple[int, int]:
    """How many of the process's streams and bells are open."""
    # The semaphore tells what is left only by its own counter.
    return MAX_STREAMS - _streams._value, MAX_BELLS - _bells._value  # noqa: SLF001


def listen(
    channels: tuple[str, ...], *, heartbeat_s: float = HEARTBEAT_S, lifetime_s: float = LIFETIME_S
) -> Iterator[frozenset[str]]:
    """The channels that were nudged (those at once together); none when `heartbeat_s` passed without any.

    Yields none at once when the subscription stands, so that a page knows what it may have missed before.
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
        yield frozenset()
        while (left := ends_at - time.monotonic()) > 0:
            heard = {first} if (first := _next(pubsub, min(heartbeat_s, left))) else set()
            if heard:
                gathered_until = time.monotonic() + _GATHER_S
                while (wait := gathered_until - time.monotonic()) > 0:
                    if channel := _next(pubsub, wait):
                        heard.add(channel)
            yield frozenset(heard)
    except redis.RedisError:
        log.info("a live stream ended: Redis does not answer")
    finally:
        pubsub.close()
        client.close()


def _next(pubsub: redis.client.PubSub, wait_s: float) -> str | None:
    """The channel of the next nudge within `wait_s`."""
    until = time.monotonic() + wait_s
    while (left := until - time.monotonic()) > 0:
        message = pubsub.get_message(timeout=left)
        if message is not None and message["type"] == "message":
            return str(message["channel"].decode().removeprefix(PREFIX))
    return None
