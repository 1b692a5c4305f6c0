"""`/sign-in`, `/sign-out`, `/account`."""

from __future__ import annotations

from flask import Blueprint, current_app, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.core.errors import TooManyRequests
from portal.core.htmx import see_other
from portal.core.permissions import Permission, public, requires
from portal.identity.queries import find_session
from portal.identity.service import revoke_session
from portal.identity.sign_in import SignInLimits, sign_in
from portal.reference import configuration as config
from portal.settings import get_settings
from portal.web.auth.forms import SignInForm, safe_next
from portal.web.security import session_cookie

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
    return _sign_in_page(SignInForm(request.args), 200)


@blueprint.post("/sign-in")
@public("nobody is signed in yet")
def create_session() -> ResponseReturnValue:
    form = SignInForm(request.form)
    if not form.validate():
        return _sign_in_page(form, 422)
    limits = SignInLimits(
        config.get(config.SIGN_IN_ATTEMPTS_PER_EMAIL),
        config.get(config.SIGN_IN_ATTEMPTS_PER_IP),
        config.get(config.SIGN_IN_WINDOW_S),
    )
    lifetime_s = config.get(config.SESSION_ABSOLUTE_S)
    agent = request.user_agent.string
    try:
        token = sign_in(
            form.email.data, form.password.data, request.remote_addr, agent, limits, session_s=lifetime_s
        )
    except TooManyRequests as error:
        return _sign_in_page(form, 429, _(error.detail), error.retry_after_s)
    if token is None:
        return _sign_in_page(form, 422, _("The email or the password is not right."))
    return _enter(token, form.next.data or "", lifetime_s)


@blueprint.post("/sign-out")
@requires(Permission.ACCOUNT_VIEW)
def end_session() -> ResponseReturnValue:
    with transaction():
        revoke_session(current_user.session.session_id)
    session.clear()
    response = see_other(url_for("auth.show_sign_in"))
    response.delete_cookie(session_cookie(), secure=get_settings().is_https, httponly=True, samesite="Lax")
    return response


@blueprint.get("/account")
@requires(Permission.ACCOUNT_VIEW)
def account() -> ResponseReturnValue:
    return render_template("auth/account.html", visitor=current_user)


def _sign_in_page(
    form: SignInForm, status: int, problem: str | None = None, retry_after_s: int | None = None
) -> Response:
    response = make_response(render_template("auth/sign_in.html", form=form, problem=problem), status)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def _enter(token: str, wanted: str, lifetime_s: int) -> Response:
    """Set the cookie of a new session; what the browser held before is worth nothing from here on."""
    old = find_session(request.cookies.get(session_cookie(), ""), lifetime_s)
    if old is not None:
        with transaction():
            revoke_session(old.session_id)
    session.clear()
    response = redirect(safe_next(wanted) or url_for("auth.start"), code=303)
    response.set_cookie(
        session_cookie(),
        token,
        max_age=lifetime_s,
        secure=get_settings().is_https,
        httponly=True,
        samesite="Lax",
        path="/",
    )
    current_app.logger.info("somebody signed in")
    return response
