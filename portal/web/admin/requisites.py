"""`/admin/requisites`: what traders receive to and pay from, and the decision of a second person about it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.permissions import Permission, requires
from portal.identity.people.audience import names_of
from portal.reference import configuration as config
from portal.traders.queries import get_requisite, get_trader
from portal.traders.requisite_list import RequisiteLine
from portal.traders.requisites import RequisiteDecision, decide_requisite, decisions_for, seal_of
from portal.web.admin import blueprint
from portal.web.admin.audit.history import history_of
from portal.web.shared.requisites.lines import requisite_listing
from portal.web.shared.requisites.words import bars_of
from portal.web.ui.actions import NOTHING_SENT, Action, ActionPage, Reply
from portal.web.ui.lists.declaration import Listing
from portal.web.ui.lists.export import export
from portal.web.ui.lists.shown import render
from portal.web.ui.reason_form import SeenForm


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


def _page(requisite_id: uuid.UUID, reply: Reply = NOTHING_SENT) -> Response:
    found = get_requisite(requisite_id)
    trader = get_trader(found.trader_id)
    people = {person for person in (found.submitted_by, found.decided_by) if person}
    is_own = current_user.id in {trader.user_id, found.submitted_by}
    zone = ZoneInfo(config.get(config.DAY_TIMEZONE))
    return reply.render(
        "requisites/one.html",
        requisite=found,
        trader=trader,
        bars=list(bars_of(found, datetime.now(UTC).astimezone(zone))),
        names=names_of(people) if people else {},
        offers=[] if is_own else _REQUISITE.offers(requisite_id, found),
        history=history_of("requisite", requisite_id),
    )


def _decision(
    decision: RequisiteDecision, button: LazyString, words: LazyString, done: LazyString, tone: str = ""
) -> Action:
    return Action(
        decision.value, f"decision/{decision.value}", Permission.REQUISITE_DECIDE,
        lambda requisite_id, seen, **given: decide_requisite(requisite_id, decision, seal=seen, **given),
        button, button, words, done, tone, lambda requisite: decision in decisions_for(requisite.status), SeenForm, seal_of,
    )  # fmt: skip


_REQUISITE = ActionPage("requisite", "/requisites/<uuid:requisite_id>", "requisite_id", (
    _decision(
        RequisiteDecision.APPROVE, _l("Approve"), _l("It gets orders as soon as its trader switches it on."),
        _l("The requisite is approved."),
    ),
    _decision(
        RequisiteDecision.DECLINE, _l("Decline"), _l("It never gets orders. The trader sees why and may add another."),
        _l("The requisite is declined."), "danger",
    ),
    _decision(
        RequisiteDecision.SUSPEND, _l("Suspend"),
        _l("It gets no new orders until you let it go on. Those that run are finished."),
        _l("The requisite is suspended."), "danger",
    ),
    _decision(
        RequisiteDecision.RESUME, _l("Let it go on"),
        _l("It gets orders again, as far as its switches and limits let it."), _l("The requisite goes on."),
    ),
), _page)  # fmt: skip
_REQUISITE.add_to(blueprint)
