"""Limits of requests for pages and token endpoints, for all processes together.

Counted by account where somebody is signed in, else by network. Every request is counted in process, as the API's
are (portal.core.limits): Flask-Limiter in front of each page cost a tenth of a confirmation's processor time.
Flask-Limiter counts where credentials are tried, with its figures kept by the same counter
(portal.web.shell.limit_storage). Without Redis each process counts by itself.
Guesses of passwords and codes are counted in PostgreSQL besides, so that a wiped or dead Redis opens nothing.
"""

from __future__ import annotations

import time

from flask import Flask, Response, request
from flask_limiter import ApplicationLimit, Limiter

from portal.core.errors import TooManyRequests
from portal.core.limits import RequestCounter, network_of
from portal.core.permissions import current_visitor
from portal.reference import configuration as config
from portal.web.shell import limit_storage  # noqa: F401 - declares the storage that the limiter names

_CHANGES = ("POST", "PUT", "PATCH", "DELETE")
# Where credentials are tried; by what the router found, so that no spelling of a path gets around it.
_PROOFS = frozenset({"auth", "trader_auth", "support_auth", "lead_auth", "admin_auth"})
_TOKENS = _PROOFS - {"auth"}
# Supervisors ask whether we live; the API and its tokens count callers by key and guesses by network, the payment
# page networks and forms by itself.
_NOT_HERE = frozenset({"health", "api_v1", "merchant_auth", "pay"})

requests = RequestCounter("pages")
changes = RequestCounter("changes")


def _network() -> str:
    return f"network:{network_of(request.remote_addr)}"


def _of_proofs() -> str:
    return f"{config.get(config.PROOFS_PER_MINUTE)} per minute"


class _ProofLimiter(Limiter):
    """Looks where credentials are tried and nowhere else: its hook in front of every answer took three percent of it."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        if request.blueprint in _PROOFS:
            super()._check_request_limit(callable_name, in_middleware)


limiter = _ProofLimiter(
    _network,
    application_limits=[ApplicationLimit(_of_proofs, _network, scope="proofs", methods=_CHANGES)],
    strategy="fixed-window",
    key_prefix="nostro:web",
    storage_uri="nostro://",
)


def register(app: Flask) -> None:
    """Count every request but those to files, `/healthz` and the API. Before whatever else looks at a request."""
    app.before_request(count)
    limiter.init_app(app)
    app.after_request(_tell)


def count() -> None:
    """Count the request of a page: one's own share, or that of the network. Raises TooManyRequests (429).

    A token endpoint looks at no cookie.
    """
    blueprint = request.blueprint
    if blueprint in _NOT_HERE or request.endpoint == "static":
        return
    visitor = None if blueprint in _TOKENS else current_visitor()
    if visitor is None or not visitor.is_authenticated:
        _take(requests, _network(), config.get(config.WEB_PUBLIC_REQUESTS_PER_MINUTE))
        return
    subject = f"account:{visitor.id}"
    _take(requests, subject, config.get(config.WEB_REQUESTS_PER_MINUTE))
    if request.method in _CHANGES:
        _take(changes, subject, config.get(config.WEB_CHANGES_PER_MINUTE))


def _take(counter: RequestCounter, subject: str, limit: int) -> None:
    allowance = counter.hit(subject, limit)
    if allowance.is_exceeded:
        raise TooManyRequests("Wait a little, then try again.", retry_after_s=max(allowance.reset_s, 1))


def forget() -> None:
    """Start from nothing, here and in Redis (for tests)."""
    requests.forget()
    changes.forget()
    if limiter.initialized:
        limiter.reset()


def _tell(response: Response) -> Response:
    """What is left of the tries, to programs; when to go on, to whoever is refused."""
    if response.status_code != 429 and request.blueprint not in _TOKENS:
        return response
    counted = limiter.current_limits
    if not counted:
        return response
    limit = min(counted, key=lambda limit: (not limit.breached, limit.remaining))
    reset_s = max(1, int(limit.reset_at - time.time()) + 1)
    if response.status_code == 429 and limit.breached:
        response.headers.setdefault("Retry-After", str(reset_s))
    if request.blueprint in _TOKENS:
        response.headers.setdefault("RateLimit-Limit", str(limit.limit.amount))
        response.headers.setdefault("RateLimit-Remaining", str(limit.remaining))
        response.headers.setdefault("RateLimit-Reset", str(reset_s))
    return response
