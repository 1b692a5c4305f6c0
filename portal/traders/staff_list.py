"""Traders, and leads with their teams, as lines for those who run the house."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from portal.core.db import hot
from portal.core.modes import Mode

MOST = 5000


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

    @property
    def is_online(self) -> bool:
        """Switched on, and with something to receive to."""
        return self.is_working and not self.is_blocked and self.requisites_online > 0


_TRADERS = """
SELECT t.id, t.user_id, t.name, u.email, t.team_id, m.name AS team, t.status, t.is_working,
       t.is_blocked OR NOT coalesce(u.is_active, true) AS is_blocked, t.created_at,
       r.requisites, r.requisites_online, r.open_orders
  FROM trader t LEFT JOIN users u ON u.id = t.user_id LEFT JOIN team m ON m.id = t.team_id
  LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE q.status <> 'archived') AS requisites,
           count(*) FILTER (WHERE q.can_take_payin) AS requisites_online,
           coalesce(sum(q.open_orders), 0)::bigint AS open_orders
      FROM requisite q WHERE q.trader_id = t.id) r ON true
 WHERE t.mode = %(mode)s
   AND (%(team)s::uuid IS NULL OR t.team_id = %(team)s::uuid)
   AND (%(like)s::text IS NULL OR lower(t.name) LIKE %(like)s::text OR u.email LIKE %(like)s::text
        OR lower(m.name) LIKE %(like)s::text)
 ORDER BY t.id LIMIT %(most)s
"""
_LEADS = """
SELECT u.id, u.name, u.email, u.is_active,
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
 ORDER BY u.id LIMIT %(most)s
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


def list_trader_lines(words: str | None = None, *, team_id: uuid.UUID | None = None) -> list[TraderLine]:
    """Live traders, oldest first, MOST at most; with `words` those whose name, email or team has them."""
    values = {"mode": Mode.LIVE.value, "like": _like(words), "team": team_id, "most": MOST}
    return [TraderLine(**row) for row in hot(_TRADERS, values)]


def list_lead_lines(words: str | None = None) -> list[LeadLine]:
    """People who lead, oldest first, MOST at most; with `words` those whose name or email has them."""
    values = {"mode": Mode.LIVE.value, "like": _like(words), "most": MOST}
    return [LeadLine(**row) for row in hot(_LEADS, values)]


def _like(words: str | None) -> str | None:
    text = (words or "").strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{text}%" if text else None
