"""`/account/security`: one's password, second factors and sessions."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import segno
from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import PasswordField
from wtforms.validators import InputRequired, Length

from portal.core.db import transaction
from portal.core.errors import DomainError, TooManyRequests, ValidationFailed
from portal.core.permissions import Permission, requires
from portal.identity.proofs.passkeys import begin_enrolment, list_passkeys
from portal.identity.proofs.totp import find_proposed_secret, propose_totp, provisioning_uri
from portal.identity.queries import get_login_state
from portal.identity.signing_in import account
from portal.identity.tokens.devices import device_words
from portal.identity.tokens.sessions import NewSession, list_sessions
from portal.reference import configuration as config
from portal.web.labels.sign_in_refusals import words_of_problem
from portal.web.shared.sign_in.entering import factor_limits, keep, session_times, sign_in_limits
from portal.web.shared.sign_in.forms import CodeForm, NewPasswordForm, PasskeyForm
from portal.web.shell.flashes import flash
from portal.web.shell.guards import needs_sudo
from portal.web.shell.htmx import see_other
from portal.web.shell.origin import current_origin
from portal.web.ui.forms import show_problems

blueprint = Blueprint("security", __name__, url_prefix="/account/security")
blueprint.add_app_template_filter(device_words)


class ChangePasswordForm(NewPasswordForm):
    current = PasswordField(
        _l("Current password"),
        validators=[
            InputRequired(_l("Type your password.")),
            Length(max=1024, message=_l("This is too long.")),
        ],
    )


@blueprint.get("")
@requires(Permission.ACCOUNT_VIEW)
def overview() -> ResponseReturnValue:
    return render_template(
        "account/security.html",
        state=get_login_state(current_user.id),
        passkeys=list_passkeys(current_user.id),
        sessions=list_sessions(current_user.id, config.get(config.SESSION_IDLE_S)),
        form=PasskeyForm(),
    )


@blueprint.get("/password")
@requires(Permission.ACCOUNT_VIEW)
@needs_sudo
def show_password() -> ResponseReturnValue:
    return render_template("account/password.html", form=ChangePasswordForm())


@blueprint.post("/password")
@requires(Permission.ACCOUNT_VIEW)
@needs_sudo
def change_password() -> ResponseReturnValue:
    form = ChangePasswordForm(request.form)
    if not form.validate():
        return render_template("account/password.html", form=form), 422
    try:
        raised = account.change_password(
            current_user.session, form.current.data, form.password.data, limits=sign_in_limits(),
            min_length=config.get(config.PASSWORD_MIN_LENGTH), times=session_times(), origin=current_origin(),
        )  # fmt: skip
    except (ValidationFailed, TooManyRequests) as error:
        show_problems(form, error)
        return _refused("account/password.html", error, form=form)
    flash(_("Your password is changed. Your other sessions are over."))
    return keep(_back(), raised)


@blueprint.post("/app/proposal")
@requires(Permission.ACCOUNT_VIEW)
@needs_sudo
def propose_app() -> ResponseReturnValue:
    with transaction():
        propose_totp(current_user.id)
    return see_other(url_for("security.show_app"))


@blueprint.get("/app")
@requires(Permission.ACCOUNT_VIEW)
@needs_sudo
def show_app() -> ResponseReturnValue:
    return _app_page(CodeForm(), 200)


@blueprint.post("/app")
@requires(Permission.ACCOUNT_VIEW)
@needs_sudo
def enrol_app() -> ResponseReturnValue:
    form = CodeForm(request.form)
    if not form.validate():
        return _app_page(form, 422)
    try:
        enrolled = account.enrol_app(
            current_user.session, form.code.data, limits=factor_limits(), times=session_times(),
            origin=current_origin(),
        )  # fmt: skip
    except TooManyRequests as error:
        return _app_page(form, 429, error)
    if enrolled is None:
        form.code.errors = [_("This code is not right. Wait for the next one and type that.")]
        return _app_page(form, 422)
    return _after_enrolment(*enrolled, _("The authenticator app is set up."))


@blueprint.post("/app/removal")
@requires(Permission.ACCOUNT_VIEW)
@needs_sudo
def remove_app() -> ResponseReturnValue:
    with transaction():
        account.remove_app(current_user.session, current_origin())
    flash(_("The authenticator app is removed."))
    return _back()


@blueprint.post("/recovery-codes")
@requires(Permission.ACCOUNT_VIEW)
@needs_sudo
def renew_codes() -> ResponseReturnValue:
    with transaction():
        codes = account.renew_codes(current_user.session, current_origin())
    return _codes_page(codes)


@blueprint.post("/passkeys/challenge")
@requires(Permission.ACCOUNT_VIEW)
@needs_sudo
def begin_passkey() -> ResponseReturnValue:
    who = current_user.session
    with transaction():
        options = begin_enrolment(who.session_id, who.user_id, who.email, who.name)
    return options, 200, {"Content-Type": "application/json"}


@blueprint.post("/passkeys")
@requires(Permission.ACCOUNT_VIEW)
@needs_sudo
def add_passkey() -> ResponseReturnValue:
    form = PasskeyForm(request.form)
    try:
        with transaction():
            raised, codes = account.enrol_passkey(
                current_user.session, form.answer.data or "", form.name.data or "",
                times=session_times(), origin=current_origin(),
            )  # fmt: skip
    except DomainError as error:
        flash(words_of_problem(error))
        return _back()
    return _after_enrolment(raised, codes, _("The passkey is added."))


@blueprint.post("/passkeys/<uuid:key_id>/removal")
@requires(Permission.ACCOUNT_VIEW)
@needs_sudo
def remove_passkey(key_id: uuid.UUID) -> ResponseReturnValue:
    with transaction():
        account.remove_key(current_user.session, key_id, current_origin())
    flash(_("The passkey is removed."))
    return _back()


@blueprint.post("/sessions/<uuid:session_id>/end")
@requires(Permission.ACCOUNT_VIEW)
def end_session(session_id: uuid.UUID) -> ResponseReturnValue:
    with transaction():
        account.end_session(current_user.session, session_id, current_origin())
    flash(_("That session is over."))
    return _back()


@blueprint.post("/sessions/end-others")
@requires(Permission.ACCOUNT_VIEW)
def end_other_sessions() -> ResponseReturnValue:
    with transaction():
        account.end_other_sessions(current_user.session, current_origin())
    flash(_("All your other sessions are over."))
    return _back()


def _back() -> Response:
    return see_other(url_for("security.overview"))


def _after_enrolment(raised: NewSession, codes: Sequence[str], said: str) -> Response:
    """With the first factor come recovery codes, which are shown once."""
    if codes:
        return keep(_codes_page(codes), raised)
    flash(said)
    return keep(_back(), raised)


def _codes_page(codes: Sequence[str]) -> Response:
    return make_response(render_template("account/recovery_codes.html", codes=codes))


def _app_page(form: CodeForm, status: int, error: DomainError | None = None) -> Response:
    """The code to be scanned and typed back; without a proposed secret there is nothing to show."""
    secret = find_proposed_secret(current_user.id)
    if secret is None:
        return _back()
    uri = provisioning_uri(secret, current_user.session.email)
    picture = segno.make(uri, error="m", micro=False).svg_data_uri(
        border=4, scale=5, dark="#000", light="#fff"
    )
    words = words_of_problem(error) if error else None
    page = render_template("account/app.html", form=form, secret=secret, picture=picture, problem=words)
    return _with_wait(make_response(page, status), error)


def _refused(template: str, error: DomainError, **variables: object) -> Response:
    words = None if error.errors else words_of_problem(error)
    page = render_template(template, problem=words, **variables)
    return _with_wait(make_response(page, error.status), error)


def _with_wait(response: Response, error: DomainError | None) -> Response:
    if error is not None and error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response
