"""Addresses as people type them: with a slash too many at the end."""

from __future__ import annotations

from flask import current_app, request, url_for
from werkzeug.exceptions import HTTPException


def page_without_slash() -> str | None:
    """The address of the page that the present one names but for the slashes at its end; None where there is none.

    Built anew from what the router found, never from what was typed: that could lead to another host.
    """
    typed = request.path
    if request.method not in {"GET", "HEAD"} or not typed.endswith("/"):
        return None
    adapter = current_app.create_url_adapter(request)
    assert adapter is not None
    try:
        endpoint, values = adapter.match(typed.rstrip("/"), method="GET")
    except HTTPException:
        return None
    if endpoint == "static":
        return None
    query = request.query_string.decode("ascii", "ignore")
    return url_for(endpoint, **values) + (f"?{query}" if query else "")
