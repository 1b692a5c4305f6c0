"""What stands before every request to a payment page: cross-site checks, limits, headers.

There are no cookies here: the token in the path is all the authority there is, so that the page works inside
a shop's frame. The CSRF token is derived from it.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import Response, request

from portal.core.errors import Forbidden, TooManyRequests
from portal.core.limits import RequestCounter, network_of
from portal.reference import configuration as config
from portal.settings import get_settings

CSRF_FIELD = "csrf_token"
# Why a page with a form is public: check_post() below.
OWN_FORM = "the token in the address is the authority, the form's own token is checked for every change"

_posts = RequestCounter("pay:post")
_misses = RequestCounter("pay:miss")
_visits = RequestCounter("pay:visit")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors {ancestors}"
)
_NO_FEATURES = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-write=(self)"


class FormOutdated(Forbidden):
    code, title = "csrf", "This form could not be checked"


def csrf_token(token: str) -> str:
    """What every form of this session carries: only who has the payment link and our key can make it."""
    key = get_settings().secret_key.get_secret_value().encode()
    digest = hmac.digest(key, f"payment form\0{token}".encode(), "sha256")
    return urlsafe_b64encode(digest[:18]).decode()


def check_post(token: str) -> None:
    """Refuse a change that did not come from our own form, or comes too often.

    Raises FormOutdated (403), TooManyRequests (429).
    """
    allowance = _posts.hit(token, config.get(config.PAY_PAGE_POSTS_PER_MINUTE))
    if allowance.is_exceeded:
        raise TooManyRequests("Too many attempts. Wait a minute.", retry_after_s=allowance.reset_s)
    if not _is_from_here():
        raise FormOutdated("The request came from another site.")
    given = request.form.get(CSRF_FIELD, "")
    if not hmac.compare_digest(given.encode(), csrf_token(token).encode()):
        raise FormOutdated("Reload the page and try again.")


def _is_from_here() -> bool:
    """Sec-Fetch-Site where the browser sends it, Origin where it does not."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or origin == request.host_url.rstrip("/") or origin == get_settings().public_url


def check_visits() -> None:
    """Raises TooManyRequests for a network that asks too often."""
    network = network_of(request.remote_addr)
    allowance = _visits.hit(network, config.get(config.WEB_PUBLIC_REQUESTS_PER_MINUTE))
    if allowance.is_exceeded:
        raise TooManyRequests("Too many requests. Wait a minute.", retry_after_s=allowance.reset_s)


def wait_after_miss() -> int | None:
    """Count a payment that does not exist; the seconds to wait when the network asked for too many of them.

    Nothing but misses is counted or refused: a neighbour who guesses keeps nobody from their payment.
    """
    most = config.get(config.PAY_PAGE_MISSES_PER_MINUTE)
    allowance = _misses.hit(network_of(request.remote_addr), most)
    return allowance.reset_s if allowance.is_exceeded else None


def protect(response: Response, return_origins: Iterable[str]) -> Response:
    """Headers of a payment page; only the store's registered origins may frame it."""
    origins = [origin for origin in map(_exact_origin, return_origins) if origin]
    response.headers["Content-Security-Policy"] = _POLICY.format(ancestors=" ".join(origins) or "'none'")
    if not origins:
        response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Permissions-Policy"] = _NO_FEATURES
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if not response.headers.get("Cache-Control"):
        response.headers["Cache-Control"] = "no-store"
    return response


def _exact_origin(text: str) -> str | None:
    """The origin as a header may carry it: no wildcard, no path, nothing that could end the directive."""
    parts = urlsplit(text)
    host = parts.netloc
    if parts.scheme not in {"https", "http"} or not host or not host.isascii():
        return None
    if any(not (char.isalnum() or char in ".-:[]") for char in host):
        return None
    return f"{parts.scheme}://{host}"
