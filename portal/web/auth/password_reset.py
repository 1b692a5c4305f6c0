"""`/password-reset`: a link by mail, and the new password behind it. Nobody learns whether an email has a login."""

from __future__ import annotations

import time

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.db import release, transaction
from portal.core.errors import NotFound, ValidationFailed
from portal.core.permissions import public
from portal.identity.signing_in.password_reset import is_reset_open, request_reset, reset_password
from portal.reference import configuration as config
from portal.web.auth.forms import EmailForm
from portal.web.auth.routes import blueprint
from portal.web.shared.sign_in.forms import NewPasswordForm
from portal.web.shell.flashes import flash
from portal.web.shell.htmx import see_other
from portal.web.shell.origin import current_origin
from portal.web.ui.forms import show_problems

# Writing a mail takes milliseconds that asking for nobody does not: both answers take this long.
_ANSWER_S = 0.25


@blueprint.get("/password-reset")
@public("who forgot the password can't sign in")
def show_reset_request() -> ResponseReturnValue:
    return render_template("auth/reset_request.html", form=EmailForm(), is_sent=False)


@blueprint.post("/password-reset")
@public("who forgot the password can't sign in")
def create_reset_request() -> ResponseReturnValue:
    form, began = EmailForm(request.form), time.monotonic()
    if not form.validate():
        return render_template("auth/reset_request.html", form=form, is_sent=False), 422
    with transaction():
        request_reset(
            form.email.data,
            current_origin(),
            config.get(config.PASSWORD_RESET_TTL_S),
            asks_per_network=config.get(config.PASSWORD_RESETS_PER_IP),
        )
    release()
    time.sleep(max(0.0, _ANSWER_S - (time.monotonic() - began)))
    return render_template("auth/reset_request.html", form=form, is_sent=True)


@blueprint.get("/password-reset/<string:token>")
@public("the link itself is the proof: 256 random bits, good once")
def show_reset(token: str) -> ResponseReturnValue:
    return _page(token, NewPasswordForm(), 200)


@blueprint.post("/password-reset/<string:token>")
@public("the link itself is the proof: 256 random bits, good once")
def complete_reset(token: str) -> ResponseReturnValue:
    form = NewPasswordForm(request.form)
    if not form.validate():
        return _page(token, form, 422)
    min_length = config.get(config.PASSWORD_MIN_LENGTH)
    try:
        with transaction():
            reset_password(token, form.password.data, min_length, current_origin())
    except ValidationFailed as error:
        show_problems(form, error)
        return _page(token, form, 422)
    except NotFound:
        return _page(token, form, 404)
    flash(_("Your new password is set. Sign in with it."))
    return see_other(url_for("auth.show_sign_in"))


def _page(token: str, form: NewPasswordForm, status: int) -> Response:
    if is_reset_open(token):
        page = render_template("auth/reset.html", form=form, token=token)
    else:
        page, status = render_template("auth/link_over.html", what=_("This link can't be used")), 404
    response = make_response(page, status)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
