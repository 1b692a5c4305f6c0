"""Limits of requests a minute, counted in process and added up in Redis a few times a second.

A request costs no round trip: every process counts by itself and, when its figures are older than SYNC_S,
adds them to those of all processes in one pipeline, before it decides. So a slow caller is counted exactly,
and a fast one gets at most what a process lets through in SYNC_S beyond the limit. When Redis is away, each
process goes on with what it counts itself: nothing is refused for want of Redis, and nobody is let in
without bounds either. (Sign-ins are counted in PostgreSQL, not here.)
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import cast

import redis

from portal.core.redis_patience import asking
from portal.settings import get_settings

log = logging.getLogger(__name__)

WINDOW_S = 60
SYNC_S = 0.2
SYNC_AGAIN_AFTER_FAILURE_S = 2.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit in the present window; `reset_s` is the number of seconds until the next."""

    limit: int
    remaining: int
    reset_s: int
    is_exceeded: bool

    def headers(self) -> tuple[tuple[str, str], ...]:
        """RateLimit-Limit, -Remaining and -Reset (draft-ietf-httpapi-ratelimit-headers-03)."""
        return (
            ("RateLimit-Limit", str(self.limit)),
            ("RateLimit-Remaining", str(self.remaining)),
            ("RateLimit-Reset", str(self.reset_s)),
        )


class _Count:
    __slots__ = ("everywhere", "unsent")

    def __init__(self) -> None:
        self.everywhere = 0
        self.unsent = 0


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    settings = get_settings()
    timeout = settings.redis_timeout_s
    return redis.Redis.from_url(
        settings.redis_url.get_secret_value(), socket_timeout=timeout, socket_connect_timeout=timeout
    )


class RequestCounter:
    """Counts of the present minute by subject (an API key, a network)."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"nostro:limit:{namespace}"
        self._lock = threading.Lock()
        self._window = 0
        self._counts: dict[str, _Count] = {}
        self._sync_at = 0.0

    def hit(self, subject: str, limit: int) -> Allowance:
        """Count one request and say whether it is within `limit` a minute."""
        return self._take(subject, limit, 1)

    def look(self, subject: str, limit: int) -> Allowance:
        """Whether the limit has been reached already, without counting anything."""
        return self._take(subject, limit, 0)

    def is_unknown(self, subject: str) -> bool:
        """Nothing of this subject was counted here lately: for most callers of a counter of failures."""
        return subject not in self._counts

    def count(self, subject: str, weight: int = 1) -> int:
        """Add `weight` requests and give how many there were in this minute, as far as this process knows."""
        return self._used(subject, weight, time.time())

    def _take(self, subject: str, limit: int, weight: int) -> Allowance:
        now = time.time()
        used = self._used(subject, weight, now)
        is_exceeded = used > limit if weight else used >= limit
        return Allowance(limit, max(limit - used, 0), WINDOW_S - int(now) % WINDOW_S, is_exceeded)

    def _used(self, subject: str, weight: int, now: float) -> int:
        with self._lock:
            self._turn(now)
            count = self._counts.get(subject)
            if count is None:
                if not weight:
                    return 0
                count = self._counts[subject] = _Count()
            count.unsent += weight
            # Not by the wall clock: set back by an hour, it would keep each process to itself for as long.
            since_start = time.monotonic()
            is_due = since_start >= self._sync_at
            if is_due:
                self._sync_at = since_start + SYNC_S
        if is_due:
            self._sync()
        return count.everywhere + count.unsent

    def _turn(self, now: float) -> None:
        window = int(now) // WINDOW_S
        if window != self._window:
            self._window, self._counts = window, {}

    def _sync(self) -> None:
        with self._lock:
            window = self._window
            sent = [(subject, count, count.unsent) for subject, count in self._counts.items() if count.unsent]
        try:
            with asking():
                totals = self._add(window, [(subject, unsent) for subject, _, unsent in sent])
        except redis.RedisError:
            log.warning("requests are counted by each process alone: Redis does not answer")
            self._sync_at = time.monotonic() + SYNC_AGAIN_AFTER_FAILURE_S
            return
        with self._lock:
            for (_, count, unsent), total in zip(sent, totals, strict=True):
                count.everywhere = max(total, count.everywhere)
                count.unsent -= unsent

    def _add(self, window: int, sent: list[tuple[str, int]]) -> list[int]:
        pipeline = _redis().pipeline(transaction=False)
        for subject, unsent in sent:
            key = f"{self._prefix}:{window}:{subject}"
            pipeline.incrby(key, unsent)
            pipeline.expire(key, 2 * WINDOW_S)
        return cast("list[int]", pipeline.execute()[::2])

    def forget_one(self, subject: str) -> None:
        """Start anew for one subject, here and in Redis."""
        with self._lock:
            self._counts.pop(subject, None)
            window = self._window
        _redis().delete(f"{self._prefix}:{window}:{subject}")

    def forget(self) -> None:
        """Start from nothing, here and in Redis (for tests)."""
        with self._lock:
            self._window, self._counts, self._sync_at = 0, {}, 0.0
        for key in _redis().scan_iter(f"{self._prefix}:*"):
            _redis().delete(key)


@lru_cache(maxsize=4096)
def network_of(address: str | None) -> str:
    """Whom an address without credentials is counted as: one IPv4 address, or an IPv6 /64."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(ip_network(f"{parsed}/64", strict=False).network_address)
    return str(parsed)
