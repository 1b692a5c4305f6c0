"""`/sudo`: a fresh proof before what grants power or moves money (`portal/web/shell/guards.py` says which routes)."""

from __future__ import annotations

from typing import Any

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import Form

from portal.core.db import transaction
from portal.core.errors import TooManyRequests
from portal.core.permissions import Permission, requires
from portal.identity.proofs.models import ChallengePurpose
from portal.identity.proofs.passkeys import begin_assertion, list_passkeys
from portal.identity.signing_in.sudo import prove_by_code, prove_by_passkey, prove_by_password
from portal.web.auth.forms import ProofForm
from portal.web.auth.routes import blueprint
from portal.web.labels.sign_in_refusals import words_of_problem
from portal.web.shared.sign_in.entering import factor_limits, keep, session_times, sign_in_limits
from portal.web.shared.sign_in.forms import CodeForm, PasskeyForm
from portal.web.shell.htmx import see_other
from portal.web.shell.next_page import safe_next
from portal.web.shell.origin import current_origin


@blueprint.get("/sudo")
@requires(Permission.ACCOUNT_VIEW)
def show_sudo() -> ResponseReturnValue:
    return _page(_form_of(request.args), 200)


@blueprint.post("/sudo")
@requires(Permission.ACCOUNT_VIEW)
def prove() -> ResponseReturnValue:
    form, who = _form_of(request.form), current_user.session
    if not form.validate():
        return _page(form, 422)
    try:
        if isinstance(form, CodeForm):
            limits = factor_limits()
            raised = prove_by_code(who, form.code.data, current_origin(), limits, session_times())
        else:
            password, limits_of_sign_in = form.password.data, sign_in_limits()
            raised = prove_by_password(who, password, current_origin(), limits_of_sign_in, session_times())
    except TooManyRequests as error:
        return _page(form, 429, words_of_problem(error), error.retry_after_s)
    if raised is None:
        return _page(form, 422, _("This is not right. Try again."))
    return keep(see_other(_back(form.next.data)), raised)


@blueprint.post("/sudo/challenge")
@requires(Permission.ACCOUNT_VIEW)
def begin_passkey_proof() -> ResponseReturnValue:
    who = current_user.session
    with transaction():
        options = begin_assertion(who.session_id, who.user_id, ChallengePurpose.SUDO)
    return options, 200, {"Content-Type": "application/json"}


@blueprint.post("/sudo/passkey")
@requires(Permission.ACCOUNT_VIEW)
def prove_with_passkey() -> ResponseReturnValue:
    form = PasskeyForm(request.form)
    raised = prove_by_passkey(current_user.session, form.answer.data or "", current_origin(), session_times())
    if raised is None:
        return _page(_form_of(request.form), 422, _("The passkey was not accepted. Try again."))
    return keep(see_other(_back(form.next.data)), raised)


def _form_of(values: Any) -> Form:
    """Who has a second factor proves it; others their password."""
    return CodeForm(values) if current_user.session.has_second_factor else ProofForm(values)


def _back(wanted: str | None) -> str:
    return safe_next(wanted or "") or url_for("auth.start")


def _page(form: Form, status: int, problem: str | None = None, retry_after_s: int | None = None) -> Response:
    has_passkey = any(key.set_aside_at is None for key in list_passkeys(current_user.id))
    page = render_template("auth/sudo.html", form=form, problem=problem, has_passkey=has_passkey)
    response = make_response(page, status)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response
