"""Things kept in process for seconds, and dropped in all processes at once when one of them changes.

Every process looks at one random mark in Redis, once a second at most; who changes something sets another mark,
and the others drop all they hold of that name. Redis is a hint: without it, what is held is dropped by its age.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar, cast
from uuid import uuid4

import redis

from portal.core.redis import guarded_client, request_client

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_EVERY_S = 1.0
# After a failed look, Redis is left alone this long, so that its timeout is not paid every second.
LOOK_AGAIN_AFTER_FAILURE_S = 5.0
_MARK_TTL_S = 7 * 86400
_LARGEST = 20_000


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    value: T
    since: float


class Page(dict[bytes, Held[T]]):
    """What is held under one mark; torn out as a whole when there is another. Without a mark: not known."""

    __slots__ = ("mark",)

    def __init__(self, mark: bytes = b"") -> None:
        super().__init__()
        self.mark = mark


class Cache(Generic[T]):
    """Values by a key of bytes, shared by the threads of a process. Only what exists is held."""

    # Kept from release to release: while both run, processes of both hear each other.
    _PREFIX = "nostro:memory"

    def __init__(self, name: str) -> None:
        self.name = name
        self._mark_key = f"{self._PREFIX}:{name}"
        self._lock = threading.Lock()
        self._page: Page[T] = Page()
        self._look_at = 0.0
        # Redis did not take the last word of a change; the next look says it again.
        self._is_untold = False

    def page(self) -> Page[T]:
        """The present page. Take it before reading the database: what is put on a page that was torn out
        meanwhile is lost, so that a value read before a change cannot survive it."""
        now = monotonic()
        if now >= self._look_at and self._is_my_turn(now):
            self._look(now)
        return self._page

    @staticmethod
    def find(page: Page[T], key: bytes, max_age_s: float) -> T | None:
        held = page.get(key)
        if held is None or monotonic() - held.since > max_age_s:
            return None
        return held.value

    @staticmethod
    def put(page: Page[T], key: bytes, value: T) -> None:
        if len(page) >= _LARGEST:
            page.clear()
        page[key] = Held(value, monotonic())

    def forget(self) -> None:
        """Drop everything here now, and in the other processes at their next look. Call after the commit."""
        self._tear(b"")
        try:
            # Not behind the circuit breaker: a revoked key is worth a try.
            mark = self._tell(request_client())
        except redis.RedisError:
            log.warning("cannot tell other processes that %s changed; they notice by age", self.name)
            mark = b""
        # Once more: who looked in between has put a page of the former mark here.
        self._tear(mark)

    def _tell(self, client: redis.Redis) -> bytes:
        """Set another mark, and give it. Never one that was tried before: a late answer may have set that already."""
        mark = uuid4().hex.encode()
        try:
            client.set(self._mark_key, mark, ex=_MARK_TTL_S)
        except redis.RedisError:
            self._is_untold = True
            raise
        return mark

    def _tear(self, mark: bytes) -> None:
        with self._lock:
            self._page = Page(mark)

    def _is_my_turn(self, now: float) -> bool:
        """Whether this thread is the one that looks; the others go on with what is known."""
        with self._lock:
            if now < self._look_at:
                return False
            self._look_at = now + LOOK_EVERY_S
            return True

    def _look(self, now: float) -> None:
        """Ask Redis for the mark now, and tear the page out that was held under another."""
        self._look_at = now + LOOK_EVERY_S
        try:
            with guarded_client() as client:
                mark = self._mark_in(client)
        except redis.RedisError:
            self._look_at = now + LOOK_AGAIN_AFTER_FAILURE_S
            log.warning("cannot ask Redis whether %s changed; using what is known", self.name)
            return
        with self._lock:
            if mark != self._page.mark:
                self._page = Page(mark)

    def _mark_in(self, client: redis.Redis) -> bytes:
        if self._is_untold:
            self._is_untold = False
            self._tell(client)
        mark = client.get(self._mark_key)
        if mark is None:
            # A Redis that was wiped may have had a mark that nobody here has seen: any new one is another.
            client.set(self._mark_key, uuid4().hex, ex=_MARK_TTL_S, nx=True)
            mark = client.get(self._mark_key)
        return cast("bytes", mark or b"")
