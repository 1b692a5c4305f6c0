"""What this thread is busy with: a request, a job or a command, and what it has cost so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

from portal.core.ids import new_id


class Trace:
    """One piece of work. `request_id` finds it again in logs, in statements and in error reports."""

    __slots__ = ("began_at", "queries", "request_id", "route")

    def __init__(self, request_id: str, route: str) -> None:
        self.request_id = request_id
        self.route = route
        self.queries = 0
        self.began_at = perf_counter()


current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def count_query() -> None:
    """Another statement was sent to the database."""
    trace = current.get()
    if trace is not None:
        trace.queries += 1


def request_id_now() -> str | None:
    """The id of the work at hand; None outside of any."""
    trace = current.get()
    return None if trace is None else trace.request_id


@contextmanager
def traced(route: str, request_id: str | None = None) -> Iterator[Trace]:
    """Give the block an id: that of the request which asked for it, or a new one."""
    trace = Trace(request_id or new_id().hex, route)
    token = current.set(trace)
    try:
        yield trace
    finally:
        current.reset(token)
