"""Where one goes on after a detour, such as signing in: a page of this site, and never of another."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import request

from portal.web.shell.htmx import is_htmx

# One slash, then something that no browser takes for another host.
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*", re.ASCII)


def safe_next(wanted: str) -> str | None:
    """The path, if it stays on this site; None otherwise."""
    if not _PATH.fullmatch(wanted):
        return None
    parts = urlsplit(wanted)
    return None if parts.scheme or parts.netloc else wanted


def page_of_request() -> str | None:
    """The page that was asked for, or that holds the form which was sent."""
    if request.method == "GET" and not is_htmx():
        return request.full_path.removesuffix("?")
    parts = urlsplit(request.headers.get("HX-Current-URL") or request.referrer or "")
    return safe_next(f"{parts.path}?{parts.query}" if parts.query else parts.path)
