"""The headers of every page, the cookies' names and flags, and how large a form may be."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from itsdangerous import URLSafeTimedSerializer
from werkzeug.exceptions import RequestEntityTooLarge

from portal.api.problems import PATHS as API_PATHS
from portal.api.request_id import HEADER as REQUEST_ID
from portal.api.request_id import request_id
from portal.settings import get_settings

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

# A name or an address (in brackets if of IPv6), and perhaps a port.
_HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_WITHOUT_COOKIES = (*API_PATHS, "/pay/")
# Of a form without files. The framework bounds those with files alone: millions of fields held a thread for a minute
# and a gigabyte of memory.
FORM_MOST_BYTES = 256 * 1024
FORM_MOST_FIELDS = 1000
# What is no page runs nothing and stands in no frame, should a browser open it all the same.
API_POLICY = "default-src 'none'; frame-ancestors 'none'"


def _policy() -> str:
    """The policy of pages; where streams have a port of their own, pages may listen to it."""
    elsewhere = streams_origin()
    return POLICY.replace("connect-src 'self'", f"connect-src 'self' {elsewhere}") if elsewhere else POLICY


def streams_origin() -> str | None:
    """Scheme, host and port of the streams' process as this page's browser reaches it; None where it is this
    very site's, behind a proxy that leads there.
    """
    port = get_settings().streams_port
    host = _HOST.fullmatch(request.host)
    return f"{request.scheme}://{host[1]}:{port}" if port is not None and host else None


def _cookie(name: str, plain: str) -> str:
    """Over https a name that browsers bind to this host, to https and to the whole site."""
    return f"__Host-{name}" if get_settings().is_https else plain


def session_cookie() -> str:
    """The cookie that holds a session's token."""
    return _cookie("nostro", "nostro_session")


def half_session_cookie() -> str:
    """The cookie of somebody between the password and the second step."""
    return _cookie("nostro-half", "nostro_half")


def flash_cookie() -> str:
    """The cookie of the words that the next page says."""
    return _cookie("nostro-flash", "nostro_flash")


class FormSessions(SecureCookieSessionInterface):
    """Flask's signed cookie for pages; the API and the payment page have no cookies, and open none."""

    _serializer: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """One for all requests: its keys stay as long as the process."""
        if self._serializer is None:
            self._serializer = super().get_signing_serializer(app)
        return self._serializer

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return None if request.path.startswith(_WITHOUT_COOKIES) else super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        # Who did not look into it has changed nothing either.
        if session.accessed:
            super().save_session(app, session, response)


def register(app: Flask) -> None:
    """Set cookies' flags and add the headers to whatever did not set its own."""
    app.session_interface = FormSessions()
    app.config.update(
        # Flask's own signed cookie carries nothing but the secret of the forms.
        SESSION_COOKIE_NAME=_cookie("nostro-form", "nostro_form"),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=get_settings().is_https,
    )
    app.before_request(bound_form)
    app.after_request(add_headers)


def bound_form() -> None:
    """Refuse a form without files that is too large before it is parsed. Raises RequestEntityTooLarge (413)."""
    if request.mimetype != "application/x-www-form-urlencoded":
        return
    request.max_content_length = FORM_MOST_BYTES
    if request.get_data().count(b"&") >= FORM_MOST_FIELDS:
        raise RequestEntityTooLarge


def add_headers(response: Response) -> Response:
    # Looked through once: asking the answer for each of them took three percent of a page.
    its_own = {name.lower() for name, _value in response.headers}
    for name, value in _headers():
        if name.lower() not in its_own:
            response.headers.add(name, value)
    if request.endpoint != "static" and not request.path.startswith(API_PATHS):
        if "vary" in its_own:
            response.vary.add("Cookie")
        else:
            response.headers.add("Vary", "Cookie")
    return response


def _headers() -> Iterator[tuple[str, str]]:
    """What this answer is to say, where it does not say something else itself."""
    yield "X-Content-Type-Options", "nosniff"
    yield REQUEST_ID, request_id()
    if get_settings().is_https:
        yield "Strict-Transport-Security", "max-age=31536000; includeSubDomains"
    if request.path.startswith(API_PATHS):
        yield "Content-Security-Policy", API_POLICY
        return
    yield "Content-Security-Policy", _policy()
    yield "Referrer-Policy", "same-origin"
    yield "Cross-Origin-Opener-Policy", "same-origin"
    yield "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"
    if request.endpoint != "static":
        yield "Cache-Control", "no-store"
