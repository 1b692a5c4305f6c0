"""One line and one measurement for each request: what, how long, how many statements, how many bytes.

The line has the route's rule instead of the path, because paths carry the secrets of payment pages and
invitations. Nothing that a caller wrote is in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter

from flask import Flask, Response, g, request

from portal.core import metrics
from portal.core.logging import write_facts
from portal.core.trace import Trace, current

log = logging.getLogger(__name__)

# Asked every second by machines: measured, not written.
_QUIET = frozenset({"health.healthz", "health.readyz", "static"})
UNMATCHED = "(none)"


def register(app: Flask, request_id: Callable[[], str]) -> None:
    """Put it around everything: call it before any other hook is registered."""

    def begin() -> None:
        rule = request.url_rule
        trace = Trace(request_id(), UNMATCHED if rule is None else rule.rule)
        g.work = (perf_counter(), trace, current.set(trace))

    def finish(response: Response) -> Response:
        work = g.get("work")
        if work is not None:
            began_at, trace, _token = work
            _note(response, perf_counter() - began_at, trace)
        return response

    def leave(_error: BaseException | None) -> None:
        work = g.pop("work", None)
        if work is not None and current.get() is work[1]:
            current.set(None)

    app.before_request(begin)
    app.after_request(finish)
    app.teardown_request(leave)


def _note(response: Response, seconds: float, trace: Trace) -> None:
    status = response.status_code
    metrics.note_request(request.method, trace.route, status, seconds)
    if (request.endpoint in _QUIET and status < 500) or not log.isEnabledFor(logging.INFO):
        return
    write_facts(
        {
            "event": "request",
            "request_id": trace.request_id,
            "method": request.method if request.method in metrics.METHODS else "OTHER",
            "route": trace.route,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "queries": trace.queries,
            "bytes_in": request.content_length or 0,
            "bytes_out": response.content_length,
        }
    )
