"""`/sign-in/second-factor`: the step between the right password and the open session."""

from __future__ import annotations

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.core.errors import TooManyRequests
from portal.core.permissions import public
from portal.identity.proofs.models import ChallengePurpose
from portal.identity.proofs.passkeys import begin_assertion
from portal.identity.proofs.second_factor import SignInOver, finish_sign_in, finish_with_passkey
from portal.web.auth.forms import SignInForm
from portal.web.auth.routes import blueprint, sign_in_page
from portal.web.labels.sign_in_refusals import words_of_problem
from portal.web.shared.sign_in.entering import current_half_session, enter, factor_limits, session_times
from portal.web.shared.sign_in.forms import CodeForm, PasskeyForm
from portal.web.shell.htmx import see_other
from portal.web.shell.next_page import safe_next
from portal.web.shell.origin import current_origin

_WHY = "who is here has no session yet: the half one says whose password was right"


@blueprint.get("/sign-in/second-factor")
@public(_WHY)
def show_second_factor() -> ResponseReturnValue:
    if current_half_session() is None:
        return see_other(url_for("auth.show_sign_in"))
    return _page(CodeForm(request.args), 200)


@blueprint.post("/sign-in/second-factor")
@public(_WHY)
def take_second_factor() -> ResponseReturnValue:
    half, form = current_half_session(), CodeForm(request.form)
    if half is None:
        return _over(_("The sign-in took too long. Begin again."))
    if not form.validate():
        return _page(form, 422)
    try:
        new = finish_sign_in(
            half, form.code.data, session_times(), origin=current_origin(), limits=factor_limits()
        )
    except SignInOver as error:
        return _over(words_of_problem(error))
    except TooManyRequests as error:
        return _page(form, 429, words_of_problem(error), error.retry_after_s)
    if new is None:
        return _page(form, 422, _("This code is not right, or it was used already."))
    return enter(new, safe_next(form.next.data or "") or url_for("auth.start"))


@blueprint.post("/sign-in/second-factor/challenge")
@public(_WHY)
def begin_passkey_step() -> ResponseReturnValue:
    half = current_half_session()
    if half is None:
        raise SignInOver
    with transaction():
        options = begin_assertion(half.id, half.user_id, ChallengePurpose.SECOND_FACTOR)
    return options, 200, {"Content-Type": "application/json"}


@blueprint.post("/sign-in/second-factor/passkey")
@public(_WHY)
def take_passkey_step() -> ResponseReturnValue:
    half, form = current_half_session(), PasskeyForm(request.form)
    if half is None:
        return _over(_("The sign-in took too long. Begin again."))
    new = finish_with_passkey(half, form.answer.data or "", session_times(), current_origin())
    if new is None:
        return _page(CodeForm(request.form), 422, _("The passkey was not accepted. Try again."))
    return enter(new, safe_next(form.next.data or "") or url_for("auth.start"))


def _page(
    form: CodeForm, status: int, problem: str | None = None, retry_after_s: int | None = None
) -> Response:
    half = current_half_session()
    if half is None:
        return _over(problem or _("The sign-in took too long. Begin again."))
    page = render_template("auth/second_factor.html", form=form, half=half, problem=problem)
    response = make_response(page, status)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def _over(problem: str) -> Response:
    return sign_in_page(SignInForm(), 401, problem)
