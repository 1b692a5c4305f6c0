"""One line and one measurement for each request: what, how long, how many statements, how many bytes.

The line has the route's rule instead of the path, because paths carry the secrets of payment pages and
invitations. Nothing that a caller wrote is in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter

from flask import Flask, Request, Response, request

from portal.core.observability import metrics
from portal.core.observability.logging import write_facts
from portal.core.observability.trace import Trace, current

log = logging.getLogger(__name__)

# Asked every second by machines: measured, not written.
_QUIET = frozenset({"/healthz", "/readyz", "/static/<path:filename>"})
UNMATCHED = "(none)"


def register(app: Flask, request_id: Callable[[], str]) -> None:
    """Put it around everything: call it before any other hook is registered.

    Each look through one of Flask's proxies costs as much as the measurement itself: one is enough.
    """

    def begin() -> None:
        rule = request.url_rule
        current.set(Trace(request_id(), UNMATCHED if rule is None else rule.rule))

    def finish(response: Response) -> Response:
        trace = current.get()
        if trace is not None:
            _note(request._get_current_object(), response, trace)  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    def leave(_error: BaseException | None) -> None:
        current.set(None)

    app.before_request(begin)
    app.after_request(finish)
    app.teardown_request(leave)


def _note(asked: Request, response: Response, trace: Trace) -> None:
    seconds = perf_counter() - trace.began_at
    status, route = response.status_code, trace.route
    method = asked.method if asked.method in metrics.METHODS else "OTHER"
    metrics.note_request(method, route, status, seconds)
    if not log.isEnabledFor(logging.INFO) or (route in _QUIET and status < 500):
        return
    write_facts(
        {
            "event": "request",
            "request_id": trace.request_id,
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "queries": trace.queries,
            "bytes_in": _length(asked.environ.get("CONTENT_LENGTH")),
            "bytes_out": _bytes_of(response),
        }
    )


def _length(header: str | None) -> int:
    return int(header) if header and header.isdecimal() and len(header) < 16 else 0


def _bytes_of(response: Response) -> int | None:
    """Length of the body; None for what is streamed."""
    parts = response.response
    return sum(map(len, parts)) if type(parts) is list else response.content_length
