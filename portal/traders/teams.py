"""Teams: formed, named, led, and who is in them. Each verb is audited and holds for the next order."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import db, hot
from portal.core.errors import Forbidden, NotFound, ValidationFailed
from portal.core.text_rules import name_of
from portal.identity.models import Role, User
from portal.traders.models import Team
from portal.traders.queries import get_team, get_trader, traders
from portal.traders.service import refresh_readiness

MAX_NAME = 80


@dataclass(frozen=True, slots=True)
class TeamLine:
    """A team with its lead and how many live traders it has, and how many of them are at work."""

    id: uuid.UUID
    name: str
    lead_id: uuid.UUID
    lead_name: str
    payin_on: bool
    payout_on: bool
    traders: int
    working: int


_TEAMS = """
SELECT m.id, m.name, m.lead_id, u.name AS lead_name, m.payin_on, m.payout_on,
       count(t.id) AS traders, count(t.id) FILTER (WHERE t.is_working AND NOT t.is_blocked) AS working
  FROM team m JOIN users u ON u.id = m.lead_id LEFT JOIN trader t ON t.team_id = m.id
 GROUP BY m.id, u.id ORDER BY lower(m.name), m.id LIMIT 1000
"""
_LEADS = """
SELECT u.id, u.name, u.email FROM users u JOIN user_role r ON r.user_id = u.id AND r.role = 'lead'
 WHERE u.is_active ORDER BY lower(u.name), u.id
"""


def list_teams() -> Sequence[TeamLine]:
    """All teams by name, 1000 at most."""
    return [TeamLine(**row) for row in hot(_TEAMS)]


def list_possible_leads() -> list[tuple[uuid.UUID, str]]:
    """Who may lead a team: active people with that role, with a name to choose them by."""
    return [(row["id"], f"{row['name']} ({row['email']})") for row in hot(_LEADS)]


def open_team(name: str, lead_id: uuid.UUID, *, actor: Actor) -> Team:
    """A new team. Raises ValidationFailed (name, lead), Forbidden for a team of one's own. Needs transaction()."""
    words = _name(name)
    _refuse_own(actor, lead_id)
    _refuse_who_is_no_lead(lead_id)
    team = Team(name=words, lead_id=lead_id)
    db.session.add(team)
    db.session.flush()
    after = {"name": words, "lead": lead_id}
    record_audit("team.opened", actor=actor, subject=("team", team.id), after=after)
    return team


def change_team(team_id: uuid.UUID, name: str, lead_id: uuid.UUID, *, actor: Actor) -> None:
    """Rename a team, or give it to another lead, who earns with the orders from now on.

    Raises NotFound, ValidationFailed (name, lead), Forbidden for who gives it away or takes it themselves. Locks the
    team. Needs transaction().
    """
    words = _name(name)
    team = get_team(team_id, lock=True)
    if lead_id != team.lead_id:
        _refuse_own(actor, team.lead_id, lead_id)
        _refuse_who_is_no_lead(lead_id)
    before = {"name": team.name, "lead": team.lead_id}
    after = {"name": words, "lead": lead_id}
    if before == after:
        return
    team.name, team.lead_id = words, lead_id
    db.session.flush()
    record_audit("team.changed", actor=actor, subject=("team", team_id), before=before, after=after)
    traders.changed()


def assign_trader(trader_id: uuid.UUID, team_id: uuid.UUID | None, *, actor: Actor) -> None:
    """Move a trader into a team, or out of theirs. Orders that exist keep their lead.

    Raises NotFound, Forbidden for the lead of either team. Locks the trader. Needs transaction().
    """
    trader = get_trader(trader_id, lock=True)
    teams = [get_team(at) for at in (team_id, trader.team_id) if at is not None]
    if trader.team_id == team_id:
        return
    _refuse_own(actor, *(team.lead_id for team in teams))
    before, after = {"team": trader.team_id}, {"team": team_id}
    trader.team_id = team_id
    db.session.flush()
    record_audit("trader.moved", actor=actor, subject=("trader", trader_id), before=before, after=after)
    refresh_readiness(trader_id)
    traders.changed()


def leave_team(trader_id: uuid.UUID, team_id: uuid.UUID, *, actor: Actor) -> None:
    """As `assign_trader` out of this team; raises NotFound for who is not in it. Needs transaction()."""
    if get_trader(trader_id, lock=True).team_id != team_id:
        raise NotFound("This trader is not in the team.")
    assign_trader(trader_id, None, actor=actor)


def _name(name: str) -> str:
    return name_of(name, most=MAX_NAME, code="malformed_name")


def _refuse_own(actor: Actor, *leads: uuid.UUID) -> None:
    """Whoever leads a team is a party to its orders: nobody comes or goes by their own hand. Raises Forbidden."""
    if actor.id in leads:
        raise Forbidden("Nobody changes who is led by themselves.", code="not_for_oneself")


def _refuse_who_is_no_lead(user_id: uuid.UUID) -> None:
    user = db.session.get(User, user_id)
    if user is None or not user.is_active or not user.has_role(Role.LEAD):
        raise ValidationFailed.of("lead", "no_lead", "Choose somebody with the role of a team lead.")
