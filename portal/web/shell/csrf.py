"""Forms are ours: a token in each of them, and the browser's own word on where a request comes from.

The token of somebody who is signed in is derived from their session, which needs no second cookie: reading, checking and
writing Flask-WTF's cost a tenth of a confirmation's processor time. Flask-WTF's is for who has no session yet.
"""

from __future__ import annotations

import hmac
from typing import Any

from flask import Flask, Request, request
from flask_wtf.csrf import CSRFProtect, generate_csrf

from portal.api.problems import PATHS as API_PATHS
from portal.core.crypto import derived_token
from portal.core.errors import Forbidden
from portal.core.permissions import current_visitor

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OURS = frozenset({"same-origin", "none"})
# The payment page keeps no cookie, so that it works in a frame: its token is derived from the order.
_CHECK_BY_THEMSELVES = frozenset({"pay"})
protection = CSRFProtect()
# The header is for scripts that send no form.
_FIELD, _HEADER = "csrf_token", "X-CSRFToken"


def register(app: Flask) -> None:
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,  # checked below, since the API proves its callers otherwise
        WTF_CSRF_TIME_LIMIT=None,  # a form left open overnight is no reason to lose what was typed
        WTF_CSRF_SSL_STRICT=False,  # Sec-Fetch-Site says the same without a Referer
    )
    protection.init_app(app)
    app.jinja_env.globals["csrf_token"] = form_token
    app.before_request(check)


def form_token() -> str:
    """What the forms of this page carry."""
    visitor = current_visitor()
    return _token_of(visitor) if visitor.is_authenticated else str(generate_csrf())


def _token_of(visitor: Any) -> str:
    return derived_token("form", visitor.session.session_id)


def check() -> None:
    """Refuse a change that another site asked for. Raises Forbidden, CSRFError (400)."""
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - looked at six times
    if asked.method in _SAFE or asked.path.startswith(API_PATHS):
        return
    if asked.endpoint is None or asked.blueprint in _CHECK_BY_THEMSELVES:
        return
    if asked.headers.get("Sec-Fetch-Site", "none") not in _OURS:
        raise Forbidden("This form was sent from another site.", code="cross_site")
    if not _is_of_this_session(asked):
        protection.protect()


def _is_of_this_session(asked: Request) -> bool:
    visitor = current_visitor()
    if not visitor.is_authenticated:
        return False
    given = asked.form.get(_FIELD) or asked.headers.get(_HEADER, "")
    return hmac.compare_digest(given.encode(), _token_of(visitor).encode())
