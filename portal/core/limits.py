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
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import cast

import redis

from portal.core.redis import guarded_client, request_client

log = logging.getLogger(__name__)

WINDOW_S = 60
SYNC_S = 0.2
SYNC_AGAIN_AFTER_FAILURE_S = 2.0
# How many bits of an IPv6 address name one household or machine, and one customer of a provider, who gets
# 65,536 of those (customer_network() in SQL counts by it, too).
HOUSEHOLD, SITE = 64, 48


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


class RequestCounter:
    """Counts of the present minute by subject (an API key, a network)."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"nostro:limit:{namespace}"
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._window = 0
        self._counts: dict[str, _Count] = {}
        self._sync_at = 0.0

    def hit(self, subject: str, limit: int) -> Allowance:
        """Count one request and say whether it is within `limit` a minute."""
        now = time.time()
        used = self._used(subject, 1, now)
        return Allowance(limit, max(limit - used, 0), WINDOW_S - int(now) % WINDOW_S, used > limit)

    def count(self, subject: str, weight: int = 1) -> int:
        """Add `weight` requests and give how many there were in this minute, as far as this process knows."""
        return self._used(subject, weight, time.time())

    def everywhere(self, subject: str, weight: int = 0) -> int:
        """Add `weight` and give how many there were in this minute, in all processes: for what is rare.

        A round trip each time; without Redis as many as this process knows of.
        """
        with self._lock:
            self._turn(time.time())
            count = self._counts.setdefault(subject, _Count())
            count.unsent += weight
        with self._syncing:
            self._sync(subject)
        return count.everywhere + count.unsent

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
            with self._syncing:
                self._sync()
        return count.everywhere + count.unsent

    def _turn(self, now: float) -> None:
        window = int(now) // WINDOW_S
        if window != self._window:
            self._window, self._counts = window, {}

    def _sync(self, asked: str | None = None) -> None:
        with self._lock:
            window = self._window
            sent = [
                (subject, count, count.unsent)
                for subject, count in self._counts.items()
                if count.unsent or subject == asked
            ]
        try:
            with guarded_client() as client:
                totals = self._add(client, window, [(subject, unsent) for subject, _, unsent in sent])
        except redis.RedisError:
            log.warning("requests are counted by each process alone: Redis does not answer")
            self._sync_at = time.monotonic() + SYNC_AGAIN_AFTER_FAILURE_S
            return
        with self._lock:
            for (_, count, unsent), total in zip(sent, totals, strict=True):
                count.everywhere = max(total, count.everywhere)
                count.unsent -= unsent

    def _add(self, client: redis.Redis, window: int, sent: list[tuple[str, int]]) -> list[int]:
        pipeline = client.pipeline(transaction=False)
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
        request_client().delete(f"{self._prefix}:{window}:{subject}")

    def forget(self) -> None:
        """Start from nothing, here and in Redis (for tests)."""
        with self._lock:
            self._window, self._counts, self._sync_at = 0, {}, 0.0
        client = request_client()
        for key in client.scan_iter(f"{self._prefix}:*"):
            client.delete(key)


@lru_cache(maxsize=4096)
def counted_network(address: str | None, ipv6_prefix: int = HOUSEHOLD) -> str | None:
    """The network an address is counted as: itself for IPv4, for IPv6 the first `ipv6_prefix` bits of it.

    As text that PostgreSQL reads as inet. None for what is no address.
    """
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    rest = 128 - ipv6_prefix
    return str(IPv6Network((int(parsed) >> rest << rest, ipv6_prefix)))


def network_of(address: str | None, ipv6_prefix: int = HOUSEHOLD) -> str:
    """As counted_network, for counters in memory: everything that is no address is counted as one."""
    return counted_network(address, ipv6_prefix) or "unknown"
