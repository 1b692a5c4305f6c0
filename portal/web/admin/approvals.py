"""`/admin/approvals`: what waits for a second person, and the decision about it."""

from __future__ import annotations

import uuid

from flask import flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import HiddenField, StringField
from wtforms.validators import Length

from portal.core.db import transaction
from portal.core.errors import Conflict, Forbidden
from portal.core.permissions import Permission, requires
from portal.identity.access_changes import AccessChange, get_access, preview_change
from portal.identity.audience import names_of
from portal.identity.grant_models import PermissionRequest, RequestState
from portal.identity.grants import decide_request, get_request, list_waiting_requests, withdraw_request
from portal.web.admin import blueprint
from portal.web.admin.acting import admin_actor
from portal.web.admin.people.person import words_of_refusal
from portal.web.auth.sudo import needs_sudo
from portal.web.shell.htmx import see_other
from portal.web.ui.forms import PageForm


class DecisionForm(PageForm):
    """`seen` is what the decider was shown: the decision is good for nothing else."""

    seen = HiddenField()
    decision = HiddenField()
    reason = StringField(validators=[Length(max=500, message=_l("This is too long."))])


@blueprint.get("/approvals")
@requires(Permission.ACCESS_APPROVE)
def approvals() -> ResponseReturnValue:
    waiting = list_waiting_requests()
    named = {one.user_id for one in waiting} | {one.requested_by for one in waiting}
    return render_template("admin/approvals/list.html", waiting=waiting, names=names_of(named))


@blueprint.get("/approvals/<uuid:request_id>")
@requires(Permission.ACCESS_APPROVE)
def approval(request_id: uuid.UUID) -> ResponseReturnValue:
    return _page(get_request(request_id))


@blueprint.post("/approvals/<uuid:request_id>/decision")
@requires(Permission.ACCESS_APPROVE)
@needs_sudo
def approval_decide(request_id: uuid.UUID) -> ResponseReturnValue:
    asked, form = get_request(request_id), DecisionForm(request.form)
    if not form.validate() or form.decision.data not in {"approve", "refuse"}:
        return _page(asked, 422, _("Approve it or refuse it."))
    is_approved = form.decision.data == "approve"
    try:
        with transaction():
            decide_request(
                request_id, _bytes(form.seen.data), is_approved=is_approved, reason=form.reason.data or None,
                actor=admin_actor(),
            )  # fmt: skip
    except (Conflict, Forbidden) as error:
        return _page(get_request(request_id), error.status, words_of_refusal(error))
    flash(
        _("Approved: it holds from their next request on.")
        if is_approved
        else _("Refused: nothing has changed.")
    )
    return see_other(url_for("admin.approvals"))


@blueprint.post("/approvals/<uuid:request_id>/withdrawal")
@requires(Permission.ACCESS_CHANGE)
def approval_withdraw(request_id: uuid.UUID) -> ResponseReturnValue:
    try:
        with transaction():
            withdraw_request(request_id, actor=admin_actor())
    except Conflict as error:
        return _page(get_request(request_id), error.status, words_of_refusal(error))
    flash(_("Withdrawn: nothing has changed."))
    return see_other(url_for("admin.approvals"))


def _bytes(text: str | None) -> bytes:
    try:
        return bytes.fromhex(text or "")
    except ValueError:
        return b""


def _page(asked: PermissionRequest, status: int = 200, problem: str = "") -> Response:
    change = AccessChange.from_payload(asked.payload)
    people = {asked.user_id, asked.requested_by} | ({asked.decided_by} if asked.decided_by else set())
    is_waiting = asked.state == RequestState.WAITING.value
    page = render_template(
        "admin/approvals/one.html", asked=asked, change=change, names=names_of(people), words=problem,
        is_problem=True, is_waiting=is_waiting,
        preview=preview_change(get_access(asked.user_id), change) if is_waiting else None,
        is_mine=asked.requested_by == current_user.id, is_about_me=asked.user_id == current_user.id,
    )  # fmt: skip
    return make_response(page, status)
