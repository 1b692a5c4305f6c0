"""Refusals and failures as a page or, for htmx, as a notice; the API answers by itself (portal.api.problems).

The pages of our own failures ask the database for nothing: they are what people see when it is away.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import psycopg
from flask import (
    Flask,
    Response,
    current_app,
    got_request_exception,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response as BaseResponse

from portal.api.request_id import request_id
from portal.core.db import db, is_out_of_service
from portal.core.errors import DomainError
from portal.core.permissions import MissingPermission, NotSignedIn, current_visitor
from portal.web.labels.refusals import words_of_error, words_of_status
from portal.web.shell.htmx import is_htmx, notice_fragment
from portal.web.shell.navigation import PORTALS, Group, groups_for
from portal.web.shell.typed_addresses import page_without_slash

log = logging.getLogger(__name__)


def refusal(
    status: int,
    title: str,
    detail: str,
    retry_after_s: int | None = None,
    *,
    page: str | None = None,
    own: Sequence[Group] = (),
) -> Response:
    """The answer itself, as a page or a notice; `page` is where to go on from it, or the reader's `own` portals,
    else the start."""
    variables = {
        "title": title, "detail": detail, "request_id": request_id(), "status": status, "page": page, "own": own,
    }  # fmt: skip
    if is_htmx():
        response = notice_fragment("errors/_notice.html", status, **variables)
    else:
        response = make_response(
            render_template("errors/error.html", in_shell=_has_shell(status), **variables), status
        )
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def _has_shell(status: int) -> bool:
    """Whether the navigation stands around it: for people who are signed in, while the house is well."""
    if status >= 500:
        return False
    try:
        return bool(current_user.is_authenticated)
    except (SQLAlchemyError, psycopg.Error):
        db.session.rollback()
        return False


def from_refusal(error: DomainError) -> Response:
    title, _detail = words_of_status(error.status)
    own = _own_portals() if isinstance(error, MissingPermission) else ()
    return refusal(
        error.status, title, words_of_error(error), error.retry_after_s, page=error.extra.get("page"), own=own
    )


def _own_portals() -> Sequence[Group]:
    """What is open to somebody who came to a portal that is not; nothing for who lacks one page of their own."""
    visitor = current_visitor()
    asked = next((portal for portal in PORTALS if portal.name == request.blueprint), None)
    if asked is None or visitor.can(asked.home.permission):
        return ()
    return tuple(groups_for(visitor))


def to_sign_in(error: NotSignedIn) -> BaseResponse:
    """Pages lead to the sign-in and back; a fragment sends the whole page there; a stream just ends."""
    back = request.full_path.removesuffix("?") if request.method == "GET" and not is_htmx() else None
    url = url_for("auth.show_sign_in", next=back)
    if is_htmx():
        response = refusal(error.status, *words_of_status(401))
        response.headers["HX-Redirect"] = url
        return response
    if "text/event-stream" in request.accept_mimetypes.values():
        return refusal(error.status, *words_of_status(401))
    return redirect(url, code=303)


def from_http(error: HTTPException) -> BaseResponse:
    if isinstance(error, RequestRedirect) or error.response is not None or (error.code or 500) < 400:
        return BaseResponse(error.get_body(), error.code, error.get_headers())
    status = error.code or 500
    if status == 404 and (address := page_without_slash()) is not None:
        return redirect(address, code=308)
    title, detail = words_of_status(status)
    if isinstance(error, CSRFError):
        detail = _(
            "The form was open for too long or cookies are switched off. Reload the page and try again."
        )
    response = refusal(status, title, detail)
    for name, value in error.get_headers(request.environ):
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def is_overload(error: Exception) -> bool:
    """The database or Redis is away, starting, full, busy or too slow: true for everybody, over at some time."""
    return isinstance(error, RedisError) or is_out_of_service(error)


def from_error(error: Exception) -> Response:
    db.session.rollback()
    if is_overload(error):
        log.warning("refused for want of a dependency: %s", type(error).__name__)
        return refusal(503, *words_of_status(503), retry_after_s=2)
    log.error("unexpected error", exc_info=error, extra={"request_id": request_id(), "path": request.path})
    got_request_exception.send(current_app._get_current_object(), exception=error)  # type: ignore[attr-defined]  # noqa: SLF001
    return refusal(500, *words_of_status(500))


def register(app: Flask) -> None:
    app.register_error_handler(NotSignedIn, to_sign_in)
    app.register_error_handler(DomainError, from_refusal)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(Exception, from_error)
