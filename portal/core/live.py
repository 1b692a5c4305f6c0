"""Hints to open pages: "look again". Lost when Redis is away, which costs one polling interval.

Who listens is the streams' process alone (portal.workers.streams).
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from contextlib import suppress

import redis

from portal.core.redis import request_client

log = logging.getLogger(__name__)
PREFIX = "live:"

_BATCH_S = 0.01


class _Publisher(threading.Thread):
    """Sends a process's nudges in batches, so that nobody's request waits for Redis."""

    def __init__(self) -> None:
        super().__init__(name="nudges", daemon=True)
        self.pid = os.getpid()
        self.waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            channels = {self.waiting.get()}
            time.sleep(_BATCH_S)
            with suppress(queue.Empty):
                while True:
                    channels.add(self.waiting.get_nowait())
            try:
                pipeline = request_client().pipeline(transaction=False)
                for channel in channels:
                    pipeline.publish(PREFIX + channel, b"1")
                pipeline.execute()
            except redis.RedisError:
                log.debug("nudges were lost", exc_info=True)
            except Exception:
                # The client fails in ways of its own where its connection is closed under it; the next one is new.
                log.warning("nudges were lost", exc_info=True)


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
