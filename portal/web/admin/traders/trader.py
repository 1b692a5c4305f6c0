"""`/admin/traders/<id>`: one trader: their work, what they have shown, and whether they may work."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from flask import Response as FlaskResponse
from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import DateField, SelectField
from wtforms.fields import SelectChoice
from wtforms.validators import Optional

from portal.core.db import release, transaction
from portal.core.errors import DomainError, ValidationFailed
from portal.core.permissions import Permission, requires
from portal.core.uploads.check import check_upload
from portal.identity.people.audience import names_of
from portal.reference.upload_sizes import receipt_max_bytes
from portal.traders.kyc import (
    add_document,
    decide_verification,
    list_decisions,
    list_documents,
    open_document,
)
from portal.traders.kyc_models import DocumentKind, Outcome
from portal.traders.queries import get_team, get_trader, list_requisites
from portal.web.admin import blueprint
from portal.web.admin.acting import admin_actor
from portal.web.admin.audit.history import history_of
from portal.web.admin.traders.block import BLOCKING
from portal.web.labels.kyc import DOCUMENT
from portal.web.labels.refusals import words_of_error
from portal.web.shared.receipts import upload_response
from portal.web.shell.flashes import flash
from portal.web.shell.guards import needs_sudo
from portal.web.shell.htmx import see_other
from portal.web.shell.languages import current_timezone
from portal.web.ui.actions import NOTHING_SENT, REFUSALS, ActionPage, Reply, carry_out
from portal.web.ui.forms import PageForm
from portal.web.ui.reason_form import ReasonForm


class DocumentForm(PageForm):
    kind = SelectField(_l("What it is"))


class KycForm(ReasonForm):
    """The last day on which the verification is good, in the viewer's zone; none is for good."""

    valid_until = DateField(_l("Good until"), validators=[Optional()])


def _document_form() -> DocumentForm:
    form = DocumentForm(request.form if request.method == "POST" else None)
    form.kind.choices = [SelectChoice(kind.value, str(words)) for kind, words in DOCUMENT.items()]
    return form


@blueprint.get("/traders/<uuid:trader_id>")
@requires(Permission.TRADER_VIEW)
def trader(trader_id: uuid.UUID) -> ResponseReturnValue:
    return _page(trader_id)


@blueprint.post("/traders/<uuid:trader_id>/documents")
@requires(Permission.TRADER_VERIFY)
def trader_add_document(trader_id: uuid.UUID) -> ResponseReturnValue:
    get_trader(trader_id)
    form, file = _document_form(), request.files.get("file")
    if not form.validate() or file is None or not file.filename:
        return _page(trader_id, Reply(422, problem=_("Choose a file, and say what it is.")))
    largest, actor = receipt_max_bytes(), admin_actor()
    raw = file.stream.read(largest + 1)
    person_id = current_user.id
    release()
    try:
        upload = check_upload(raw, largest, uploader=f"person:{person_id}")
        with transaction():
            add_document(trader_id, upload, DocumentKind(form.kind.data), actor=actor)
    except REFUSALS as error:
        return _page(trader_id, Reply(error.status, problem=words_of_error(error)))
    flash(_("The document is kept."))
    return see_other(url_for("admin.trader", trader_id=trader_id))


@blueprint.get("/traders/<uuid:trader_id>/documents/<uuid:document_id>")
@requires(Permission.TRADER_VERIFY)
def trader_document(trader_id: uuid.UUID, document_id: uuid.UUID) -> FlaskResponse:
    with transaction():
        document = open_document(trader_id, document_id, actor=admin_actor())
    return upload_response(document, "document")


@blueprint.post("/traders/<uuid:trader_id>/verification")
@requires(Permission.TRADER_VERIFY)
@needs_sudo
def trader_verdict(trader_id: uuid.UUID) -> ResponseReturnValue:
    form, outcome, actor = KycForm(request.form), request.form.get("outcome", ""), admin_actor()
    if outcome not in {Outcome.VERIFIED, Outcome.REFUSED, Outcome.WITHDRAWN}:
        return _page(trader_id, Reply(422, problem=_("Verify them, or refuse it.")), form)
    return carry_out(
        lambda: decide_verification(
            trader_id, Outcome(outcome), form.words, valid_until=_end_of(form), actor=actor
        ),
        form=form,
        again=lambda status, refused: _page(
            trader_id, Reply(status, problem=_words_of_verdict(refused) if refused else ""), form
        ),
        done=_l("Decided. It holds for their next order."),
        back=url_for("admin.trader", trader_id=trader_id),
    )


def _end_of(form: KycForm) -> datetime | None:
    """The midnight after the chosen day."""
    day = form.valid_until.data
    if day is None:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=current_timezone()) + timedelta(days=1)


def _words_of_verdict(error: DomainError) -> str:
    known = {
        "in_the_past": _("Choose a day that is to come."),
        "already_decided": _("The trader's verification has changed meanwhile."),
    }
    code = error.errors[0].code if error.errors else error.code
    if error.errors and error.errors[0].field == "documents":
        return _("Attach a document first.")
    if code in known or isinstance(error, ValidationFailed):
        return known.get(code, _("Say why."))
    return words_of_error(error)


def _page(trader_id: uuid.UUID, reply: Reply = NOTHING_SENT, verdict_form: KycForm | None = None) -> Response:
    found, requisites = get_trader(trader_id), list_requisites(trader_id)
    may_verify = current_user.can(Permission.TRADER_VERIFY)
    decisions = list_decisions(trader_id)
    is_oneself = found.user_id == current_user.id
    return reply.render(
        "admin/traders/trader.html",
        trader=found,
        team=get_team(found.team_id) if found.team_id else None,
        requisites=requisites,
        documents=list_documents(trader_id) if may_verify else (),
        decisions=decisions,
        names=names_of({decision.decided_by for decision in decisions if decision.decided_by}),
        document_form=_document_form(),
        verdict_form=verdict_form or KycForm(),
        offers=_TRADER.offers(trader_id, (found, requisites, is_oneself)),
        history=history_of("trader", trader_id),
        is_oneself=is_oneself,
    )


_TRADER = ActionPage("trader", "/traders/<uuid:trader_id>", "trader_id", BLOCKING, _page)
_TRADER.add_to(blueprint)
