"""Traders, and leads with their teams, as lines for those who run the house."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from portal.core.keyset import Listed, Page
from portal.core.modes import Mode

_TRADER_KEYS = {
    "name": ("lower(p.name)", "text"), "created": ("p.created_at", "timestamptz"),
    "team": ("lower(coalesce(p.team, ''))", "text"), "requisites": ("p.requisites", "bigint"),
    "requisites_online": ("p.requisites_online", "bigint"), "open_orders": ("p.open_orders", "bigint"),
}  # fmt: skip
_IS_ONLINE = "p.is_working AND NOT p.is_blocked AND p.requisites_online > 0"
_TRADER_STATES = {
    "active": "NOT p.is_blocked AND p.status = 'verified'", "blocked": "p.is_blocked",
    "online": f"{_IS_ONLINE} AND p.status = 'verified'",
    "offline": f"NOT ({_IS_ONLINE}) AND NOT p.is_blocked AND p.status = 'verified'",
    "unverified": "p.status <> 'verified'",
}  # fmt: skip
_LEAD_KEYS = {
    "name": ("lower(p.name)", "text"), "created": ("p.created_at", "timestamptz"),
    "requisites": ("p.requisites", "bigint"), "requisites_online": ("p.requisites_online", "bigint"),
    "open_orders": ("p.open_orders", "bigint"), "traders_online": ("p.traders_online", "bigint"),
    "traders": ("cardinality(p.trader_ids)", "bigint"),
}  # fmt: skip
_LEAD_STATES = {
    "active": "p.is_active", "blocked": "NOT p.is_active", "online": "p.is_active AND p.traders_online > 0",
    "offline": "p.is_active AND p.traders_online = 0",
}  # fmt: skip
_MOST_OF_TEAMS = 5000


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


_TRADERS = """
SELECT t.id, t.user_id, t.name, u.email, t.team_id, m.name AS team, t.status, t.is_working,
       t.is_blocked OR NOT coalesce(u.is_active, true) AS is_blocked, t.created_at, ARRAY[t.id] AS owners,
       r.requisites, r.requisites_online, r.open_orders
  FROM trader t LEFT JOIN users u ON u.id = t.user_id LEFT JOIN team m ON m.id = t.team_id
  LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE q.status <> 'archived') AS requisites,
           count(*) FILTER (WHERE q.can_take_payin) AS requisites_online,
           coalesce(sum(q.open_orders), 0)::bigint AS open_orders
      FROM requisite q WHERE q.trader_id = t.id) r ON true
 WHERE t.mode = %(mode)s
   AND (%(like)s::text IS NULL OR lower(t.name) LIKE %(like)s::text OR u.email LIKE %(like)s::text
        OR lower(m.name) LIKE %(like)s::text)
"""
_LEADS = """
SELECT u.id, u.name, u.email, u.is_active,
       ARRAY(SELECT t.id FROM trader t JOIN team m ON m.id = t.team_id
              WHERE m.lead_id = u.id AND t.mode = %(mode)s ORDER BY t.id) AS owners,
       ARRAY(SELECT m.id FROM team m WHERE m.lead_id = u.id ORDER BY m.id) AS team_ids,
       ARRAY(SELECT m.name FROM team m WHERE m.lead_id = u.id ORDER BY m.id) AS teams,
       ARRAY(SELECT t.id FROM trader t JOIN team m ON m.id = t.team_id
              WHERE m.lead_id = u.id AND t.mode = %(mode)s ORDER BY t.id) AS trader_ids,
       w.requisites, w.requisites_online, w.traders_online, w.open_orders, u.created_at
  FROM users u LEFT JOIN LATERAL (
    SELECT coalesce(sum(r.requisites), 0)::bigint AS requisites,
           coalesce(sum(r.requisites_online), 0)::bigint AS requisites_online,
           coalesce(sum(r.open_orders), 0)::bigint AS open_orders,
           count(*) FILTER (WHERE t.is_working AND NOT t.is_blocked AND r.requisites_online > 0) AS traders_online
      FROM team m JOIN trader t ON t.team_id = m.id AND t.mode = %(mode)s
      LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE q.status <> 'archived') AS requisites,
               count(*) FILTER (WHERE q.can_take_payin) AS requisites_online,
               coalesce(sum(q.open_orders), 0) AS open_orders
          FROM requisite q WHERE q.trader_id = t.id) r ON true
     WHERE m.lead_id = u.id) w ON true
 WHERE EXISTS (SELECT 1 FROM user_role r WHERE r.user_id = u.id AND r.role = 'lead')
   AND (%(like)s::text IS NULL OR lower(u.name) LIKE %(like)s::text OR u.email LIKE %(like)s::text)
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
    trader_ids: list[uuid.UUID]
    requisites: int
    requisites_online: int
    traders_online: int
    open_orders: int
    created_at: datetime
    owners: list[uuid.UUID]
    sort_key: str = ""


_TRADER_LIST = Listed(_TRADERS, _TRADER_KEYS, _TRADER_STATES)
_LEAD_LIST = Listed(_LEADS, _LEAD_KEYS, _LEAD_STATES)


def list_trader_lines() -> list[TraderLine]:
    """Live traders, oldest first, _MOST_OF_TEAMS at most: to choose from."""
    rows, _counts = _TRADER_LIST.page(Page("created", limit=_MOST_OF_TEAMS), _values(None))
    return [TraderLine(**row) for row in rows]


def page_of_traders(words: str | None, page: Page) -> tuple[list[TraderLine], dict[str, int]]:
    """A page of the live traders, and how many are in each state; with `words` those whose name, email or team has
    them.
    """
    rows, counts = _TRADER_LIST.page(page, _values(words))
    return [TraderLine(**row) for row in rows], counts


def page_of_leads(words: str | None, page: Page) -> tuple[list[LeadLine], dict[str, int]]:
    """A page of the people who lead, and how many are in each state; with `words` those whose name or email has
    them.
    """
    rows, counts = _LEAD_LIST.page(page, _values(words))
    return [LeadLine(**row) for row in rows], counts


def _values(words: str | None) -> dict[str, object]:
    return {"mode": Mode.LIVE.value, "like": _like(words)}


def _like(words: str | None) -> str | None:
    text = (words or "").strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{text}%" if text else None
