"""`/sign-in`, `/sign-out`."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.core.errors import TooManyRequests
from portal.core.permissions import Permission, public, requires
from portal.identity.models import SessionStage
from portal.identity.signing_in.sign_in import sign_in
from portal.identity.tokens.sessions import revoke_session
from portal.web.auth.forms import SignInForm
from portal.web.labels.sign_in_refusals import words_of_problem
from portal.web.shared.sign_in.entering import (
    drop_cookie,
    enter,
    session_times,
    sign_in_limits,
    wait_for_second_step,
)
from portal.web.shell.flashes import forget_flashes
from portal.web.shell.htmx import see_other
from portal.web.shell.next_page import safe_next
from portal.web.shell.origin import current_origin
from portal.web.shell.security import session_cookie

blueprint = Blueprint("auth", __name__)


@blueprint.get("/")
@public("sends everybody where their work begins")
def start() -> ResponseReturnValue:
    return redirect(url_for(current_user.home if current_user.is_authenticated else "auth.show_sign_in"))


@blueprint.get("/sign-in")
@public("nobody is signed in yet")
def show_sign_in() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(url_for(current_user.home))
    return sign_in_page(SignInForm(request.args), 200)


@blueprint.post("/sign-in")
@public("nobody is signed in yet")
def create_session() -> ResponseReturnValue:
    form = SignInForm(request.form)
    if not form.validate():
        return sign_in_page(form, 422)
    email, password = form.email.data, form.password.data
    try:
        new = sign_in(email, password, current_origin(), sign_in_limits(), session_times())
    except TooManyRequests as error:
        return sign_in_page(form, 429, words_of_problem(error), error.retry_after_s)
    if new is None:
        return sign_in_page(form, 422, _("The email or the password is not right."))
    wanted = safe_next(form.next.data or "")
    if new.stage is SessionStage.SECOND_FACTOR:
        return wait_for_second_step(new, url_for("auth.show_second_factor", next=wanted))
    return enter(new, wanted or url_for("auth.start"))


@blueprint.post("/sign-out")
@requires(Permission.ACCOUNT_VIEW)
def end_session() -> ResponseReturnValue:
    with transaction():
        revoke_session(current_user.session.session_id)
    session.clear()
    response = see_other(url_for("auth.show_sign_in"))
    drop_cookie(response, session_cookie())
    forget_flashes(response)
    return response


def sign_in_page(
    form: SignInForm, status: int, problem: str | None = None, retry_after_s: int | None = None
) -> Response:
    response = make_response(render_template("auth/sign_in.html", form=form, problem=problem), status)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response
