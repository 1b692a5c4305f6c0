"""The circuit breaker before Redis: it holds hints alone, so while it is slow or away it is left alone for a moment.

A request asks for several things (limits, what others have changed). One of them finds out, the others go on
without, and so does every request of this process until the moment is over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

SLOW_S = 0.2
LEAVE_ALONE_S = 2.0

_asked_again_at = 0.0


class LeftAlone(redis.RedisError):
    """Redis was slow or away a moment ago and was not asked."""


@contextmanager
def asking() -> Iterator[None]:
    """Around what is asked of Redis in somebody's request. Raises LeftAlone instead, or what Redis raises."""
    began_at = time.monotonic()
    if began_at < _asked_again_at:
        raise LeftAlone("Redis was slow or away a moment ago")
    try:
        yield
    except redis.RedisError:
        _leave_alone()
        raise
    if time.monotonic() - began_at > SLOW_S:
        _leave_alone()


def _leave_alone() -> None:
    global _asked_again_at  # noqa: PLW0603 - one for the process
    _asked_again_at = time.monotonic() + LEAVE_ALONE_S


def ask_again() -> None:
    """Forget that it was slow or away (for tests)."""
    global _asked_again_at  # noqa: PLW0603 - as above
    _asked_again_at = 0.0
