"""Where Flask-Limiter keeps its counts: in process, added up in Redis a few times a second (portal.core.limits).

Its own Redis storage asks Redis once for each limit of a request, two or three times in all.
"""

from __future__ import annotations

import time

import redis
from limits.storage import Storage

from portal.core.limits import WINDOW_S, RequestCounter


class AddedUpInRedis(Storage):
    """Counts of whole minutes, which is the only window there is here. Without Redis each process counts alone."""

    STORAGE_SCHEME = ["nostro"]  # noqa: RUF012 - as the base class declares it

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **_options: object) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._counter = RequestCounter("web")

    @property
    def base_exceptions(self) -> type[Exception]:
        return redis.RedisError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Raises ValueError for a limit of another window than a minute."""
        if expiry != WINDOW_S:
            raise ValueError(f"{key}: limits are per minute")
        return self._counter.count(key, amount)

    def get(self, key: str) -> int:
        return self._counter.count(key, 0)

    def get_expiry(self, key: str) -> float:  # noqa: ARG002 - all windows end at the same time
        now = time.time()
        return now - now % WINDOW_S + WINDOW_S

    def check(self) -> bool:
        return True

    def reset(self) -> None:
        self._counter.forget()

    def clear(self, key: str) -> None:
        self._counter.forget_one(key)
