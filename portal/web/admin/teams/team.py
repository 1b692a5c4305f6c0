"""`/admin/teams`: teams with their leads, and which traders are in them."""

from __future__ import annotations

import uuid
from typing import Any

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response
from wtforms import SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length

from portal.core.errors import DomainError
from portal.core.permissions import Permission, requires
from portal.identity.people.audience import names_of
from portal.traders.queries import get_team
from portal.traders.teams import (
    MAX_NAME,
    assign_trader,
    change_team,
    leave_team,
    list_possible_leads,
    list_teams,
    open_team,
)
from portal.web.admin import blueprint
from portal.web.admin.acting import admin_actor
from portal.web.admin.teams.members import MOST_FOUND, found_outside, members_of
from portal.web.labels.refusals import words_of_error
from portal.web.ui.actions import carry_out
from portal.web.ui.forms import PageForm
from portal.web.ui.lists.shown import show


class TeamForm(PageForm):
    name = StringField(
        _l("Name"),
        validators=[
            InputRequired(_l("Give the team a name.")),
            Length(max=MAX_NAME, message=_l("This is too long.")),
        ],
    )
    lead = SelectField(_l("Team lead"))

    def refuse(self, error: DomainError) -> bool:
        if error.code == "not_for_oneself":
            self.lead.errors = [words_of_error(error)]
            return True
        words = {
            "malformed_name": _("Give a name of at most 80 letters."),
            "no_lead": _("Choose somebody with the role of a team lead."),
        }
        for problem in error.errors:
            self[problem.field].errors = [words.get(problem.code, problem.message)]
        return bool(error.errors)


def _form(values: Any = None, lead_id: uuid.UUID | None = None, **data: object) -> TeamForm:
    """`lead_id` may be chosen although they have lost the role: they lead it now."""
    form = TeamForm(values, lead=str(lead_id) if lead_id else None, **data)
    leads = dict(list_possible_leads())
    if lead_id is not None and lead_id not in leads:
        leads[lead_id] = names_of([lead_id])[lead_id]
    form.lead.choices = [SelectChoice(str(key), words) for key, words in leads.items()]
    return form


@blueprint.get("/teams")
@requires(Permission.TEAM_VIEW)
def teams() -> ResponseReturnValue:
    return _list_page(_form())


@blueprint.post("/teams")
@requires(Permission.TEAM_CHANGE)
def team_open() -> ResponseReturnValue:
    form, actor = _form(request.form), admin_actor()
    return carry_out(
        lambda: open_team(form.name.data, uuid.UUID(form.lead.data), actor=actor),
        form=form,
        again=lambda status, _refused: _list_page(form, status),
        done=_l("The team is formed. Put traders into it."),
        back=lambda team: url_for("admin.team", team_id=team.id),
    )


@blueprint.get("/teams/<uuid:team_id>")
@requires(Permission.TEAM_VIEW)
def team(team_id: uuid.UUID) -> ResponseReturnValue:
    return _team_page(team_id)


@blueprint.post("/teams/<uuid:team_id>")
@requires(Permission.TEAM_CHANGE)
def team_change(team_id: uuid.UUID) -> ResponseReturnValue:
    form, actor = _form(request.form, get_team(team_id).lead_id), admin_actor()
    return carry_out(
        lambda: change_team(team_id, form.name.data, uuid.UUID(form.lead.data), actor=actor),
        form=form,
        again=lambda status, _refused: _team_page(team_id, form, status),
        done=_l("Saved."),
        back=url_for("admin.team", team_id=team_id),
    )


@blueprint.post("/teams/<uuid:team_id>/traders")
@requires(Permission.TEAM_CHANGE)
def team_add_trader(team_id: uuid.UUID) -> ResponseReturnValue:
    trader_id = _uuid(request.form.get("trader"))
    if trader_id is None:
        return _team_page(team_id, status=422, problem=_("Choose a trader."))
    actor = admin_actor()
    return carry_out(
        lambda: assign_trader(trader_id, team_id, actor=actor),
        done=_l("The trader is in the team."),
        back=url_for("admin.team", team_id=team_id),
    )


@blueprint.post("/teams/<uuid:team_id>/traders/<uuid:trader_id>/removal")
@requires(Permission.TEAM_CHANGE)
def team_remove_trader(team_id: uuid.UUID, trader_id: uuid.UUID) -> ResponseReturnValue:
    actor = admin_actor()
    return carry_out(
        lambda: leave_team(trader_id, team_id, actor=actor),
        done=_l("The trader is in no team now."),
        back=url_for("admin.team", team_id=team_id),
    )


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None


def _list_page(form: TeamForm, status: int = 200) -> Response:
    return make_response(render_template("admin/teams/list.html", teams=list_teams(), form=form), status)


def _team_page(
    team_id: uuid.UUID, form: TeamForm | None = None, status: int = 200, problem: str = ""
) -> Response:
    found = get_team(team_id)
    page = render_template(
        "admin/teams/team.html",
        team=found,
        form=form or _form(None, found.lead_id, name=found.name),
        shown=show(members_of(team_id)),
        others=found_outside(team_id),
        most_found=MOST_FOUND,
        words=problem,
        is_problem=bool(problem),
    )
    return make_response(page, status)
