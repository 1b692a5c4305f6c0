"""Refusals as RFC 9457 problem+json, for everything under the API's paths.

Routing errors, the framework's own refusals and what nobody expected come out the same way as our own
refusals. No stack trace, no SQL, no internal name reaches a client.
"""

from __future__ import annotations

import logging
from typing import Any

import orjson
from flask import Flask, Response, current_app, got_request_exception, request
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from portal.api.codes import ERROR_CODES
from portal.api.request_id import HEADER, request_id
from portal.core.db import is_out_of_service
from portal.core.errors import DomainError, Unauthorized, Unavailable
from portal.core.observability import metrics
from portal.settings import get_settings

log = logging.getLogger(__name__)

PATHS = ("/api/", "/merchant/auth/", "/trader/auth/", "/support/auth/", "/lead/auth/", "/admin/auth/")
PROBLEM = "application/problem+json"

# What the framework raises by itself, in the words of the contract.
_FRAMEWORK: dict[int, tuple[str, str, str]] = {
    400: ("bad_request", "The request could not be read", "The request could not be read."),
    404: ("not_found", "There is no such thing here", "There is no such path."),
    405: ("method_not_allowed", "This method is not offered here", "This path does not take this method."),
    406: ("not_acceptable", "The answer is JSON", "The API answers in JSON."),
    408: ("request_timeout", "The request took too long to arrive", "Send the request again."),
    413: ("payload_too_large", "The content is too large", "The content is too large."),
    414: ("uri_too_long", "The address is too long", "The address is too long."),
    415: ("unsupported_media_type", "This kind of content is not accepted", "Send JSON in UTF-8."),
    429: ("rate_limited", "Too many requests", "Too many requests."),
}
# Codes of the contract, each a label of the metrics; what is not among them counts as `other`.
_COUNTED = frozenset(known.code for known in ERROR_CODES)
_UNEXPECTED = (
    "internal_error",
    "Something went wrong on our side",
    "Nothing was decided. Repeat the request with the same Idempotency-Key, and tell us the request_id.",
)


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    fields: list[dict[str, str]] | None = None,
    **more: str,
) -> Response:
    """The answer itself. `more` are extension members, such as the id of a duplicate's first order."""
    body: dict[str, Any] = {
        "type": f"{get_settings().public_url}/docs#error-{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id(),
    }
    if fields is not None:
        body["errors"] = fields
    response = Response(orjson.dumps(body | more), status=status)
    response.headers["Content-Type"] = PROBLEM
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers[HEADER] = body["request_id"]
    return response


def from_refusal(error: DomainError) -> Response:
    """A refusal of the domain: its code, its words, its fields."""
    metrics.refusals.labels(error.code if error.code in _COUNTED else "other").inc()
    fields = [{"field": p.field, "code": p.code, "message": p.message} for p in error.errors]
    response = problem(
        error.status,
        error.code,
        error.title,
        error.detail,
        fields=fields or None,
        **{k: v for k, v in error.extra.items() if not k.startswith("header:")},
    )
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="nostro"'
    return response


def _from_framework(error: HTTPException) -> Response:
    status = error.code or 500
    if isinstance(error, RequestRedirect) or status < 400:
        return Response(status=status, headers=dict(error.get_headers(request.environ)))
    code, title, detail = _FRAMEWORK.get(status, ("bad_request", "The request was refused", "Refused."))
    if status >= 500:
        code, title, detail = _UNEXPECTED
    response = problem(status, code, title, detail)
    for name, value in error.get_headers(request.environ):
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def from_error(error: Exception) -> Response:
    """The problem for anything that was raised while a request was served."""
    if isinstance(error, DomainError):
        return from_refusal(error)
    if isinstance(error, HTTPException):
        return _from_framework(error)
    if isinstance(error, RedisError) or is_out_of_service(error):
        log.warning(
            "refused for want of a dependency: %s", type(error).__name__, extra={"request_id": request_id()}
        )
        return from_refusal(Unavailable())
    log.error("unexpected error", exc_info=error, extra={"request_id": request_id(), "path": request.path})
    got_request_exception.send(current_app._get_current_object(), exception=error)  # type: ignore[attr-defined]  # noqa: SLF001
    return problem(500, *_UNEXPECTED)


def register(app: Flask) -> None:
    """Answer every error under PATHS with a problem; all others stay with the handlers of the pages.

    A 404 or 405 of the router belongs to no blueprint, and an error handler of the application can be
    registered only once for a class: so the choice is made where Flask takes errors in.
    """
    handled_by_pages = app.handle_user_exception

    def handle(error: Exception) -> Any:
        if request.path.startswith(PATHS):
            return from_error(error)
        return handled_by_pages(error)

    app.handle_user_exception = handle  # type: ignore[method-assign,assignment]
