"""`/admin/approvals`: what takes two people, of every kind, and the decision of the second one about it."""

from __future__ import annotations

import uuid
from typing import Any

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import HiddenField, StringField
from wtforms.validators import Length

from portal.approvals.errors import RequestDecided
from portal.approvals.kinds import Kind, Subject, get_kind
from portal.approvals.models import ApprovalRequest, ApprovalState
from portal.approvals.queries import get_request, look_at
from portal.approvals.service import decide_now, withdraw
from portal.core.errors import DomainError, NotFound
from portal.core.permissions import Permission, requires
from portal.core.text_rules import LONGEST_REASON
from portal.orders.parties import OwnOrder
from portal.web.admin import blueprint
from portal.web.admin.approval_list import approval_listing, lines_of, visible_kinds
from portal.web.admin.audit.history import history_of
from portal.web.labels.approval_states import state_pill
from portal.web.labels.refusals import WORDS
from portal.web.shared.approvals.words import words_of_kind
from portal.web.shared.orders.staff_scope import is_everybodys
from portal.web.shell.acting import acting_person
from portal.web.shell.flashes import flash
from portal.web.shell.guards import needs_sudo, proof_first
from portal.web.shell.htmx import see_other
from portal.web.ui.actions import REFUSALS, carry_out, said
from portal.web.ui.forms import PageForm
from portal.web.ui.lists.shown import render


class DecisionForm(PageForm):
    """`seen` is what the decider was shown: the decision is good for nothing else."""

    seen = HiddenField()
    decision = HiddenField()
    reason = StringField(
        _l("Reason"), validators=[Length(max=LONGEST_REASON, message=_l("This is too long."))]
    )


@blueprint.get("/approvals")
@requires(Permission.APPROVAL_VIEW)
def approvals() -> ResponseReturnValue:
    return render("admin/approvals/list.html", approval_listing())


@blueprint.get("/approvals/<uuid:request_id>")
@requires(Permission.APPROVAL_VIEW)
def approval(request_id: uuid.UUID) -> ResponseReturnValue:
    return _page(*_seen(request_id))


@blueprint.post("/approvals/<uuid:request_id>/decision")
@requires(Permission.APPROVAL_VIEW)
@needs_sudo
def approval_decide(request_id: uuid.UUID) -> ResponseReturnValue:
    asked, kind = _seen(request_id)
    if kind.moves_money and (first := proof_first()):
        return first
    form = DecisionForm(request.form)
    if not form.validate() or form.decision.data not in {"approve", "refuse"}:
        return _page(asked, kind, 422, _("Approve it or refuse it."), form)
    is_approved = form.decision.data == "approve"
    if not is_approved and not (form.reason.data or "").strip():
        form.reason.errors = [_("Say why.")]
        return _page(asked, kind, 422, form=form)
    try:
        decide_now(
            request_id, _bytes(form.seen.data), is_approved=is_approved, reason=form.reason.data or None,
            actor=acting_person(),
        )  # fmt: skip
    except REFUSALS as error:
        now = get_request(request_id)
        if not _is_own_decision(now, error, is_approved=is_approved):
            return _page(now, kind, error.status, said(error), form)
    flash(str(words_of_kind(kind.name).done) if is_approved else _("Refused: nothing has changed."))
    return see_other(url_for("admin.approvals"))


@blueprint.post("/approvals/<uuid:request_id>/withdrawal")
@requires(Permission.APPROVAL_VIEW)
def approval_withdraw(request_id: uuid.UUID) -> ResponseReturnValue:
    _asked, kind = _seen(request_id)
    actor = acting_person()
    return carry_out(
        lambda: withdraw(request_id, actor=actor),
        again=lambda status, refused: _page(get_request(request_id), kind, status, said(refused)),
        done=_("Withdrawn: nothing has changed."),
        back=url_for("admin.approvals"),
    )


def _seen(request_id: uuid.UUID) -> tuple[ApprovalRequest, Kind[Any]]:
    """A request of a kind that this visitor may propose or decide. Raises NotFound for any other."""
    found = get_request(request_id)
    if found.kind not in {kind.name for kind in visible_kinds()}:
        raise NotFound("There is no such request.")
    return found, get_kind(found.kind)


def _is_own_decision(now: ApprovalRequest, error: DomainError, *, is_approved: bool) -> bool:
    """Whether it was refused because the same person's same press arrived a moment before."""
    wanted = ApprovalState.APPROVED if is_approved else ApprovalState.REFUSED
    return isinstance(error, RequestDecided) and (now.state, now.decided_by) == (
        wanted.value,
        current_user.id,
    )


def _bytes(text: str | None) -> bytes:
    try:
        return bytes.fromhex(text or "")
    except ValueError:
        return b""


def _page(
    asked: ApprovalRequest,
    kind: Kind[Any],
    status: int = 200,
    problem: str = "",
    form: DecisionForm | None = None,
) -> Response:
    is_waiting = asked.state == ApprovalState.WAITING.value
    words, session = words_of_kind(kind.name), current_user.session
    look = look_at(asked) if is_waiting else None
    preview = look.preview if look else None
    is_mine, subject = asked.proposed_by == current_user.id, Subject(asked.subject_kind, asked.subject_id)
    is_about_me = is_waiting and kind.is_own(subject, current_user.id)
    page = render_template(
        "admin/approvals/one.html", line=lines_of([asked])[0], asked=asked, kind_words=words, words=problem,
        is_problem=True, form=form or DecisionForm(), is_waiting=is_waiting, pill_of=state_pill, preview=preview,
        sentence=words.sentence(kind.read(asked.payload), preview) if preview else "",
        seen=look.seen.hex() if look else "", is_mine=is_mine, is_about_me=is_about_me, own_words=WORDS[OwnOrder.code],
        may_decide=not (is_mine or is_about_me) and is_everybodys(kind.may_decide),
        is_proven=session.has_proof if kind.moves_money else session.has_sudo,
        history=history_of(asked.subject_kind, uuid.UUID(asked.subject_id)) if is_everybodys(Permission.AUDIT_VIEW)
        else None,
    )  # fmt: skip
    return make_response(page, status)
