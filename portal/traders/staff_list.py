"""Traders, and leads with their teams, as lines for those who run the house."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from portal.core.db.keyset import Key, Listed, Numbers, Page, State, words_like

# Whose login is switched off is blocked too.
_IS_OFF = "EXISTS (SELECT 1 FROM users u WHERE u.id = b.user_id AND NOT u.is_active)"
_OFF = "SELECT t.id FROM users u JOIN trader t ON t.user_id = u.id WHERE NOT u.is_active AND t.mode = 'live'"
_IS_READY = "EXISTS (SELECT 1 FROM requisite q WHERE q.trader_id = b.id AND q.can_take_payin)"
_BLOCKED = "SELECT id FROM trader WHERE is_blocked AND mode = 'live' UNION " + _OFF  # noqa: S608 - constants
_IS_ACTIVE = f"b.status = 'verified' AND NOT b.is_blocked AND NOT {_IS_OFF}"
# What can take a payin is a working, verified trader's.
_READY = (
    "SELECT DISTINCT q.trader_id FROM requisite q WHERE q.can_take_payin AND q.mode = 'live'"  # noqa: S608 - constants
    " AND q.trader_id NOT IN (" + _OFF + ")"
)
_OF_REQUISITES = (
    "SELECT q.trader_id AS id, {value} AS value FROM requisite q WHERE {which} GROUP BY q.trader_id"
)
_OF_LEADS = (
    "SELECT m.lead_id AS id, {value} AS value FROM requisite q JOIN trader t ON t.id = q.trader_id"
    " JOIN team m ON m.id = t.team_id WHERE {which} AND q.mode = 'live' GROUP BY m.lead_id"
)
_OF_TEAMS = (
    "SELECT m.lead_id AS id, {value} AS value FROM trader t JOIN team m ON m.id = t.team_id"
    " WHERE t.mode = 'live' GROUP BY m.lead_id"
)
_CAN, _BUSY = "q.can_take_payin", "q.open_orders > 0"


@dataclass(frozen=True, slots=True)
class TraderLine:
    """A live trader as one line. `requisites_online` can take a payin now. Times are UTC."""

    id: uuid.UUID
    user_id: uuid.UUID | None
    name: str
    email: str | None
    team_id: uuid.UUID | None
    team: str | None
    status: str
    is_working: bool
    is_blocked: bool
    requisites: int
    requisites_online: int
    open_orders: int
    created_at: datetime
    owners: list[uuid.UUID]
    sort_key: str = ""

    @property
    def is_online(self) -> bool:
        """Switched on, and with something to receive to."""
        return self.is_working and not self.is_blocked and self.requisites_online > 0


_TRADER_LINES = """
SELECT t.id, t.user_id, t.name, u.email, t.team_id, m.name AS team, t.status, t.is_working,
       t.is_blocked OR NOT coalesce(u.is_active, true) AS is_blocked, t.created_at, ARRAY[t.id] AS owners,
       t.requisites, r.requisites_online, r.open_orders, picked.sort_value::text AS sort_key
  FROM picked JOIN trader t ON t.id = picked.id
  LEFT JOIN users u ON u.id = t.user_id LEFT JOIN team m ON m.id = t.team_id
  LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE q.can_take_payin) AS requisites_online,
           coalesce(sum(q.open_orders), 0)::bigint AS open_orders
      FROM requisite q WHERE q.trader_id = t.id) r ON true
"""
_LEAD_LINES = """
SELECT u.id, u.name, u.email, u.is_active, ARRAY[u.id] AS owners,
       ARRAY(SELECT m.id FROM team m WHERE m.lead_id = u.id ORDER BY m.id) AS team_ids,
       ARRAY(SELECT m.name FROM team m WHERE m.lead_id = u.id ORDER BY m.id) AS teams,
       w.traders, w.requisites, r.requisites_online, r.traders_online, r.open_orders, u.created_at,
       picked.sort_value::text AS sort_key
  FROM picked JOIN users u ON u.id = picked.id
  LEFT JOIN LATERAL (
    SELECT count(*) AS traders, coalesce(sum(t.requisites), 0)::bigint AS requisites
      FROM team m JOIN trader t ON t.team_id = m.id AND t.mode = 'live' WHERE m.lead_id = u.id) w ON true
  LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE q.can_take_payin) AS requisites_online,
           count(DISTINCT q.trader_id) FILTER (WHERE q.can_take_payin) AS traders_online,
           coalesce(sum(q.open_orders), 0)::bigint AS open_orders
      FROM team m JOIN trader t ON t.team_id = m.id AND t.mode = 'live' JOIN requisite q ON q.trader_id = t.id
     WHERE m.lead_id = u.id AND (q.can_take_payin OR q.open_orders > 0)) r ON true
"""


@dataclass(frozen=True, slots=True)
class LeadLine:
    """A team lead as one line; the figures are those of their live traders."""

    id: uuid.UUID
    name: str
    email: str
    is_active: bool
    team_ids: list[uuid.UUID]
    teams: list[str]
    traders: int
    requisites: int
    requisites_online: int
    traders_online: int
    open_orders: int
    created_at: datetime
    owners: list[uuid.UUID]
    sort_key: str = ""


_TRADERS = Listed(
    table="trader",
    where="b.mode = 'live'",
    lines=_TRADER_LINES,
    sorts={
        "name": Key("lower(b.name)", "text"),
        "created": Key("b.created_at", "timestamptz"),
        "team": Key("coalesce(lower(m.name), '')", "text", "LEFT JOIN team m ON m.id = b.team_id"),
        "requisites": Key("b.requisites", "bigint"),
        "requisites_online": Numbers(_OF_REQUISITES.format(value="count(*)", which=_CAN)),
        "open_orders": Numbers(_OF_REQUISITES.format(value="sum(q.open_orders)::bigint", which=_BUSY)),
    },
    states={
        "active": State(_IS_ACTIVE),
        "blocked": State(f"b.id IN ({_BLOCKED})", _BLOCKED),
        "online": State(f"{_IS_ACTIVE} AND {_IS_READY}", _READY),
        "offline": State(f"{_IS_ACTIVE} AND NOT {_IS_READY}"),
        "unverified": State("b.status <> 'verified'"),
    },
    found="""SELECT t.id FROM trader t WHERE lower(t.name) LIKE %(like)s
       UNION SELECT t.id FROM users u JOIN trader t ON t.user_id = u.id WHERE u.email LIKE %(like)s
       UNION SELECT t.id FROM team m JOIN trader t ON t.team_id = m.id WHERE lower(m.name) LIKE %(like)s""",
)
_READY_LEADS = """SELECT m.lead_id FROM requisite q JOIN trader t ON t.id = q.trader_id
    JOIN team m ON m.id = t.team_id WHERE q.can_take_payin AND q.mode = 'live'"""
_LEADS = Listed(
    table="users",
    where="EXISTS (SELECT 1 FROM user_role r WHERE r.user_id = b.id AND r.role = 'lead')",
    lines=_LEAD_LINES,
    sorts={
        "name": Key("lower(b.name)", "text"),
        "created": Key("b.created_at", "timestamptz"),
        "traders": Numbers(_OF_TEAMS.format(value="count(*)")),
        "traders_online": Numbers(_OF_LEADS.format(value="count(DISTINCT t.id)", which=_CAN)),
        "requisites": Numbers(_OF_TEAMS.format(value="sum(t.requisites)::bigint")),
        "requisites_online": Numbers(_OF_LEADS.format(value="count(*)", which=_CAN)),
        "open_orders": Numbers(_OF_LEADS.format(value="sum(q.open_orders)::bigint", which=_BUSY)),
    },
    states={
        "active": State("b.is_active"),
        "blocked": State("NOT b.is_active"),
        "online": State(f"b.is_active AND b.id IN ({_READY_LEADS})"),
        "offline": State(f"b.is_active AND b.id NOT IN ({_READY_LEADS})"),
    },
    found="SELECT u.id FROM users u WHERE lower(u.name) LIKE %(like)s OR u.email LIKE %(like)s",
)


def page_of_traders(words: str | None, page: Page) -> tuple[list[TraderLine], dict[str, int]]:
    """A page of the live traders, and how many are in each state, up to COUNTED_TO + 1; with `words` those whose
    name, email or team has them.
    """
    rows, counts = _TRADERS.page_and_counts(page, {"like": words_like(words)})
    return [TraderLine(**row) for row in rows], counts


def page_of_team(team_id: uuid.UUID, words: str | None, page: Page) -> list[TraderLine]:
    """A page of the team's live traders; with `words` those who have them, as above."""
    values = {"like": words_like(words), "team": team_id}
    rows = _TRADERS.page(page, values, also=["b.team_id = %(team)s::uuid"])
    return [TraderLine(**row) for row in rows]


def list_traders_outside(team_id: uuid.UUID, words: str, limit: int) -> list[TraderLine]:
    """Live traders who have the words and are not in this team, by name."""
    values = {"like": words_like(words), "team": team_id}
    rows = _TRADERS.page(
        Page("name", limit=limit), values, also=["b.team_id IS DISTINCT FROM %(team)s::uuid"]
    )
    return [TraderLine(**row) for row in rows]


def page_of_leads(words: str | None, page: Page) -> tuple[list[LeadLine], dict[str, int]]:
    """A page of the people who lead, and how many are in each state, counted as traders are; with `words` those
    whose name or email has them.
    """
    rows, counts = _LEADS.page_and_counts(page, {"like": words_like(words)}, without={"offline"})
    # Who is not online is offline: to look at their teams once more would cost as much again.
    counts["offline"] = counts["active"] - counts["online"]
    return [LeadLine(**row) for row in rows], counts
