"""Things remembered in process for seconds, and forgotten everywhere at once when one of them changes.

Every process looks at one random mark in Redis, once a second at most. Who changes something sets another
mark: the others drop all they remember. Redis is a hint: without it, things are forgotten by age.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import uuid4

import redis

from portal.core.redis import guarded_client, request_client

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_EVERY_S = 1.0
# After a failed look, Redis is left alone this long, so that its timeout is not paid every second.
LOOK_AGAIN_AFTER_FAILURE_S = 5.0
_MARK_TTL_S = 86400
_LARGEST = 20_000


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[T]):
    value: T
    since: float


class Cache(Generic[T]):
    """Values by a key of bytes, shared by the threads of a process. Only what exists is remembered."""

    def __init__(self, name: str) -> None:
        self._mark_key = f"nostro:memory:{name}"
        self._lock = threading.Lock()
        self._values: dict[bytes, _Remembered[T]] = {}
        self._mark: bytes | None = None
        self._look_at = 0.0

    def page(self) -> dict[bytes, _Remembered[T]]:
        """The present page. Take it before reading the database: what is put on a page that was torn out
        meanwhile is lost, so that a value read before a change cannot survive it."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look(now)
        return self._values

    @staticmethod
    def find(page: dict[bytes, _Remembered[T]], key: bytes, max_age_s: float) -> T | None:
        held = page.get(key)
        if held is None or time.monotonic() - held.since > max_age_s:
            return None
        return held.value

    @staticmethod
    def put(page: dict[bytes, _Remembered[T]], key: bytes, value: T) -> None:
        if len(page) >= _LARGEST:
            page.clear()
        page[key] = _Remembered(value, time.monotonic())

    def forget(self) -> None:
        """Drop everything here now, and in the other processes at their next look. Call after the commit."""
        with self._lock:
            self._values = {}
        try:
            request_client().set(self._mark_key, uuid4().hex, ex=_MARK_TTL_S)
        except redis.RedisError:
            log.warning("other processes cannot be told of a change; they notice by age")

    def _look(self, now: float) -> None:
        with self._lock:
            if now < self._look_at:
                return
            self._look_at = now + LOOK_EVERY_S
        try:
            with guarded_client() as client:
                mark = client.get(self._mark_key)
        except redis.RedisError:
            self._look_at = now + LOOK_AGAIN_AFTER_FAILURE_S
            return
        if mark != self._mark:
            with self._lock:
                self._mark, self._values = bytes(mark) if isinstance(mark, bytes) else None, {}
