"""Limits of requests for pages and token endpoints: Flask-Limiter, for all processes together.

Counted by account where somebody is signed in, else by network; the counts are added up in Redis by
portal.web.limit_storage. Without Redis each process counts by itself.
Guesses of passwords and codes are counted in PostgreSQL besides, so that a wiped or dead Redis opens nothing.
The JSON API counts by key in process (portal.core.limits), the payment page by network: this would cost
their hot paths too much.
"""

from __future__ import annotations

import time

from flask import Flask, Response, g, request
from flask_limiter import ApplicationLimit, Limiter
from flask_login import current_user

from portal.core.limits import network_of
from portal.reference import configuration as config
from portal.web import limit_storage  # noqa: F401 - declares the storage that the limiter names

_CHANGES = ("POST", "PUT", "PATCH", "DELETE")
# Where credentials are tried; by what the router found, so that no spelling of a path gets around it.
_PROOFS = frozenset({"auth", "merchant_auth", "trader_auth", "support_auth", "lead_auth", "admin_auth"})
_TOKENS = _PROOFS - {"auth"}
# Supervisors ask whether we live; the API counts its callers by key, the payment page networks and forms by itself.
_NOT_HERE = frozenset({"health", "api_v1", "pay"})


def _network() -> str:
    return f"network:{network_of(request.remote_addr)}"


def _caller() -> str:
    """The account, else the network; a token endpoint looks at no cookie."""
    known: str | None = g.get("limited_as")
    if known is None:
        is_account = request.blueprint not in _TOKENS and current_user.is_authenticated
        known = g.limited_as = f"account:{current_user.id}" if is_account else _network()
    return known


def _of_caller() -> str:
    is_known = _caller().startswith("account:")
    setting = config.WEB_REQUESTS_PER_MINUTE if is_known else config.WEB_PUBLIC_REQUESTS_PER_MINUTE
    return f"{config.get(setting)} per minute"


def _of_changes() -> str:
    return f"{config.get(config.WEB_CHANGES_PER_MINUTE)} per minute"


def _of_proofs() -> str:
    return f"{config.get(config.PROOFS_PER_MINUTE)} per minute"


limiter = Limiter(
    _caller,
    application_limits=[
        ApplicationLimit(_of_caller, _caller, scope="requests"),
        ApplicationLimit(
            _of_changes,
            _caller,
            scope="changes",
            methods=_CHANGES,
            exempt_when=lambda: _caller().startswith("network:"),
        ),
        ApplicationLimit(
            _of_proofs,
            _network,
            scope="proofs",
            methods=_CHANGES,
            exempt_when=lambda: request.blueprint not in _PROOFS,
        ),
    ],
    strategy="fixed-window",
    key_prefix="nostro:web",
    storage_uri="nostro://",
)


def register(app: Flask) -> None:
    """Count every request but those to files, `/healthz` and the API. Before whatever else looks at a request."""
    if not limiter._request_filters:  # noqa: SLF001 - several applications share the one limiter in tests
        limiter.request_filter(lambda: request.blueprint in _NOT_HERE)
    limiter.init_app(app)
    app.after_request(_tell)


def _tell(response: Response) -> Response:
    """What is left, to programs; when to go on, to whoever is refused."""
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
