"""Every header that htmx sends or understands is named here and nowhere else."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse


def is_htmx() -> bool:
    """Whether a fragment is wanted. A restored history page and a boosted link want the whole page."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-History-Restore-Request") != "true"
        and headers.get("HX-Boosted") != "true"
    )


def fragment(template: str, status: int = 200, /, **variables: Any) -> Response:
    """The partial that the page itself includes, for htmx."""
    response = make_response(render_template(template, **variables), status)
    response.headers.add("Vary", "HX-Request")
    return response


def notice_fragment(template: str, status: int, /, **variables: Any) -> Response:
    """A fragment that goes to the page's notice region, whatever the request aimed at."""
    response = fragment(template, status, **variables)
    response.headers["HX-Retarget"] = "#notice"
    response.headers["HX-Reswap"] = "innerHTML"
    return response


def see_other(url: str) -> BaseResponse:
    """Send the browser to another page: 303, or htmx's own redirect, since XHR would follow a 303 itself."""
    if is_htmx():
        response = make_response("", 204)
        response.headers["HX-Redirect"] = url
        return response
    return redirect(url, code=303)
