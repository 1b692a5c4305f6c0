"""`/admin/requisites`: what traders receive to and pay from, and the decision of a second person about it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flask import flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.core.errors import Conflict, Forbidden
from portal.core.permissions import Permission, requires
from portal.identity.audience import names_of
from portal.reference import configuration as config
from portal.traders.queries import get_requisite, get_trader
from portal.traders.requisite_list import RequisiteLine
from portal.traders.requisites import RequisiteDecision, decide_requisite, decisions_for, seal_of
from portal.web.admin import blueprint
from portal.web.admin.audit.history import history_of
from portal.web.auth.sudo import needs_sudo
from portal.web.shared.requisites.lines import requisite_listing
from portal.web.shared.requisites.words import bars_of, decision_words, refusal_words, state_pill
from portal.web.shell.acting import acting_person
from portal.web.shell.htmx import see_other
from portal.web.ui.lists.export import export
from portal.web.ui.lists.listing import Listing, render
from portal.web.ui.reason_form import ReasonForm


@blueprint.get("/requisites")
@requires(Permission.REQUISITE_VIEW)
def requisites() -> ResponseReturnValue:
    return render("requisites/list.html", _listing())


@blueprint.get("/requisites.csv")
@requires(Permission.REQUISITE_VIEW)
def export_requisites() -> ResponseReturnValue:
    return export(_listing())


def _listing() -> Listing[RequisiteLine]:
    return requisite_listing("admin", lambda line: url_for("admin.requisite", requisite_id=line.id))


@blueprint.get("/requisites/<uuid:requisite_id>")
@requires(Permission.REQUISITE_VIEW)
def requisite(requisite_id: uuid.UUID) -> ResponseReturnValue:
    return _page(requisite_id)


@blueprint.post("/requisites/<uuid:requisite_id>/decision")
@requires(Permission.REQUISITE_DECIDE)
@needs_sudo
def requisite_decision(requisite_id: uuid.UUID) -> ResponseReturnValue:
    form, chosen = ReasonForm(request.form), request.args.get("verdict", "")
    get_requisite(requisite_id)
    if chosen not in set(RequisiteDecision):
        return _page(requisite_id, 422, problem=_("Choose what to do."))
    if not form.validate():
        return _page(requisite_id, 422, form=form, about=chosen)
    decision, seal = RequisiteDecision(chosen), request.args.get("seal", "")
    try:
        with transaction():
            decide_requisite(requisite_id, decision, form.reason.data, seal=seal, actor=acting_person())
    except (Conflict, Forbidden) as error:
        return _page(requisite_id, error.status, problem=refusal_words(error))
    flash(decision_words(decision)[2])
    return see_other(url_for("admin.requisite", requisite_id=requisite_id))


def _page(
    requisite_id: uuid.UUID,
    status: int = 200,
    *,
    form: ReasonForm | None = None,
    about: str = "",
    problem: str = "",
) -> Response:
    """`about` is the dialog that `form` was sent from."""
    found = get_requisite(requisite_id)
    trader = get_trader(found.trader_id)
    people = {person for person in (found.submitted_by, found.decided_by) if person}
    may_decide = current_user.can(Permission.REQUISITE_DECIDE)
    is_own = current_user.id in {trader.user_id, found.submitted_by}
    zone = ZoneInfo(config.get(config.DAY_TIMEZONE))
    page = render_template(
        "requisites/one.html",
        requisite=found,
        trader=trader,
        pill_of=state_pill,
        bars=list(bars_of(found, datetime.now(UTC).astimezone(zone))),
        names=names_of(people) if people else {},
        decisions=[] if is_own or not may_decide else decisions_for(found.status),
        decision_words=decision_words,
        seal=seal_of(found),
        history=history_of("requisite", requisite_id),
        form=form or ReasonForm(),
        about=about,
        words=problem,
        is_problem=True,
    )
    return make_response(page, status)
