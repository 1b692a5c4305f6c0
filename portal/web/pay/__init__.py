"""The hosted payment page: `/pay/<token>`, one column, no cookies, whole without JavaScript."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from portal.web.pay import guard
from portal.web.shell.hidden_text import refuse_hidden_text

bp = Blueprint("pay", __name__, url_prefix="/pay")


@bp.before_request
def check() -> None:
    """Every change needs our own form; guessing tokens is slow."""
    token = (request.view_args or {}).get("token")
    if token is None:
        return
    guard.check_visits()
    if request.method not in {"GET", "HEAD"}:
        guard.check_post(token)
    refuse_hidden_text()


@bp.after_request
def protect(response: Response) -> Response:
    if "Content-Security-Policy" in response.headers:
        return response
    return guard.protect(response, g.get("pay_return_origins", ()))


from portal.web.pay import amount, page, problem, refusals, steps  # noqa: E402, F401 - routes and handlers
