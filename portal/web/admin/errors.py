"""`/admin/errors`: what went wrong in any process, by kind and place, and who has looked at it."""

from __future__ import annotations

from collections.abc import Sequence

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from portal.core.cursors import moment_and_number_in, position_of
from portal.core.permissions import Permission, requires
from portal.error_reports.handling import mark_handled
from portal.error_reports.models import ErrorReport
from portal.error_reports.queries import ErrorFilter, get_error_report, list_error_reports
from portal.identity.people.audience import names_of
from portal.web.admin import blueprint
from portal.web.ui.actions import NOTHING_SENT, Action, ActionPage, Reply
from portal.web.ui.lists.declaration import Asked, Cell, Column, Filter, Kind, Listing
from portal.web.ui.lists.shown import render

_ROLES = ("web", "worker", "relay", "clock", "metrics", "cli")


def _fetch(asked: Asked) -> Sequence[ErrorReport]:
    states = {"open": False, "handled": True}
    wanted = asked.filters
    narrow = ErrorFilter(
        kind=wanted["kind"], role=wanted["role"], words=wanted["q"], request_id=wanted["request_id"],
        is_handled=states.get(wanted["state"]),
    )  # fmt: skip
    return list_error_reports(narrow, after=moment_and_number_in(asked.after), limit=asked.limit)


def _state(report: ErrorReport) -> tuple[str, str]:
    return ("gray", _("Handled")) if report.handled_at else ("red", _("Unhandled"))


ERRORS: Listing[ErrorReport] = Listing(
    name="errors",
    title=_l("Errors"),
    columns=(
        Column(
            "kind", _l("Kind"), lambda one: one.kind, is_optional=False,
            link=lambda one: url_for("admin.error", error_id=one.id),
        ),
        Column("state", _l("State"), _state, Cell.PILL, plain=lambda one: _state(one)[1]),
        Column("count", _l("How often"), lambda one: one.count, Cell.NUMBER),
        Column("first_at", _l("First"), lambda one: one.first_at, Cell.MOMENT),
        Column("last_at", _l("Latest"), lambda one: one.last_at, Cell.MOMENT, sort="last_at"),
        Column("role", _l("Process"), lambda one: one.role),
        Column("place", _l("Where"), lambda one: one.logger, Cell.CODE),
    ),
    fetch=_fetch,
    position=lambda one: position_of(one.last_at, one.id),
    endpoint="admin.errors",
    default_sort="-last_at",
    empty_title=_l("No errors"),
    empty_next=_l("What goes wrong in any process stands here, one line for each kind and place."),
    icon="circle-check",
    filters=(
        Filter("q", _l("Words"), hint=_l("in the kind or the sample"), former="text"),
        Filter("kind", _l("Kind")),
        Filter("role", _l("Process"), Kind.CHOICE, lambda: [(role, role) for role in _ROLES]),
        Filter(
            "state", _l("State"), Kind.CHOICE, lambda: [("open", _("Unhandled")), ("handled", _("Handled"))]
        ),
        Filter("request_id", _l("Request id")),
    ),
)  # fmt: skip


@blueprint.get("/errors")
@requires(Permission.ERROR_VIEW)
def errors() -> ResponseReturnValue:
    return render("admin/errors/list.html", ERRORS)


@blueprint.get("/errors/<int:error_id>")
@requires(Permission.ERROR_VIEW)
def error(error_id: int) -> ResponseReturnValue:
    return _page(error_id)


def _page(error_id: int, reply: Reply = NOTHING_SENT) -> Response:
    report = get_error_report(error_id)
    return reply.render(
        "admin/errors/one.html",
        report=report,
        handler=names_of([report.handled_by]).get(report.handled_by, "") if report.handled_by else "",
        offers=_ERROR.offers(error_id, report),
    )


_ERROR = ActionPage("error", "/errors/<int:error_id>", "error_id", (
    Action(
        "handled", "handled", Permission.ERROR_HANDLE, mark_handled, _l("Mark as handled"), _l("Is it handled?"),
        _l("It leaves the list of open errors until it comes again."),
        _l("Handled. When it comes again, it is open again."),
        fits=lambda report: not report.handled_at, proof=None,
    ),
), _page, back="admin.errors")  # fmt: skip
_ERROR.add_to(blueprint)
