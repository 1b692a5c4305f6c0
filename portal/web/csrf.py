"""Forms are ours: a token in each of them, and the browser's own word on where a request comes from."""

from __future__ import annotations

from flask import Flask, request
from flask_wtf.csrf import CSRFProtect

from portal.api.problems import PATHS as API_PATHS
from portal.core.errors import Forbidden

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OURS = frozenset({"same-origin", "none"})
# The payment page keeps no cookie, so that it works in a frame: its token is derived from the order.
_CHECK_BY_THEMSELVES = frozenset({"pay"})
protection = CSRFProtect()


def register(app: Flask) -> None:
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,  # checked below, since the API proves its callers otherwise
        WTF_CSRF_TIME_LIMIT=None,  # a form left open overnight is no reason to lose what was typed
        WTF_CSRF_SSL_STRICT=False,  # Sec-Fetch-Site says the same without a Referer
    )
    protection.init_app(app)
    app.before_request(check)


def check() -> None:
    """Refuse a change that another site asked for. Raises Forbidden, CSRFError (400)."""
    if request.method in _SAFE or request.path.startswith(API_PATHS):
        return
    if request.endpoint is None or request.blueprint in _CHECK_BY_THEMSELVES:
        return
    if request.headers.get("Sec-Fetch-Site", "none") not in _OURS:
        raise Forbidden("This form was sent from another site.", code="cross_site")
    protection.protect()
