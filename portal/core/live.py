"""Hints to open pages: "look again". Lost when Redis is away, which costs one polling interval."""

from __future__ import annotations

import logging
from functools import lru_cache

import redis

from portal.settings import get_settings

log = logging.getLogger(__name__)
PREFIX = "live:"


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
