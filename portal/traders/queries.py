"""Reading traders, teams and requisites."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from portal.core.crypto import decrypt
from portal.core.db import db, hot
from portal.core.errors import NotFound
from portal.reference.snapshot import Snapshot
from portal.traders.models import Requisite, RequisiteStatus, Team, Trader


@dataclass(frozen=True, slots=True)
class TraderTerms:
    """What an order needs to know of a trader: whose lead earns with them, and which of their accounts move."""

    id: uuid.UUID
    mode: str
    lead_id: uuid.UUID | None
    name: str = ""
    user_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class _Traders:
    by_id: Mapping[uuid.UUID, TraderTerms]
    by_user: Mapping[uuid.UUID, TraderTerms]


_TRADERS = text(
    "SELECT t.id, t.mode, m.lead_id, t.name, t.user_id FROM trader t LEFT JOIN team m ON m.id = t.team_id"
)


def _load(connection: Connection) -> _Traders:
    all_of_them = [TraderTerms(*row) for row in connection.execute(_TRADERS)]
    return _Traders(
        {terms.id: terms for terms in all_of_them},
        {terms.user_id: terms for terms in all_of_them if terms.user_id},
    )


traders = Snapshot("traders", _load, lambda: 10.0)


def get_trader_terms(trader_id: uuid.UUID) -> TraderTerms:
    """The trader's terms, or NotFound. A trader opened a moment ago by another process is found too."""
    terms = traders.get().by_id.get(trader_id)
    if terms is None:
        traders.forget()
        terms = traders.get().by_id.get(trader_id)
    if terms is None:
        raise NotFound()
    return terms


def leads_of(trader_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Who leads each of these traders now, from memory; who is led by nobody is not in it."""
    known = traders.get().by_id
    terms = {trader_id: known[trader_id] for trader_id in trader_ids if trader_id in known}
    return {trader_id: term.lead_id for trader_id, term in terms.items() if term.lead_id is not None}


def find_own_trader(user_id: uuid.UUID) -> TraderTerms | None:
    """The trader behind a login, as each request of their portal needs it. The login of a trader never changes."""
    terms = traders.get().by_user.get(user_id)
    if terms is None and find_trader_of_user(user_id) is not None:
        traders.forget()
        terms = traders.get().by_user.get(user_id)
    return terms


def get_trader(trader_id: uuid.UUID, *, lock: bool = False) -> Trader:
    query = select(Trader).where(Trader.id == trader_id).execution_options(populate_existing=True)
    found = db.session.scalar(query.with_for_update(key_share=True) if lock else query)
    if found is None:
        raise NotFound()
    return found


def find_trader_of_user(user_id: uuid.UUID) -> Trader | None:
    return db.session.scalar(select(Trader).where(Trader.user_id == user_id))


_PEOPLE = """
SELECT t.id AS trader_id, t.user_id, m.lead_id
FROM trader t LEFT JOIN team m ON m.id = t.team_id WHERE t.id = ANY(%(traders)s::uuid[])
"""


@dataclass(frozen=True, slots=True)
class TraderPeople:
    """The logins behind a trader: their own, if they have one, and their lead's."""

    trader_id: uuid.UUID
    user_id: uuid.UUID | None
    lead_id: uuid.UUID | None


def people_of_traders(trader_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, TraderPeople]:
    """By trader, for those that exist."""
    rows = hot(_PEOPLE, {"traders": list(trader_ids)})
    return {row["trader_id"]: TraderPeople(**row) for row in rows}


_OF_LEAD = """
SELECT t.id, t.name, m.name AS team, t.mode, t.status, t.is_working, t.is_blocked,
       m.payin_on AND t.lead_payin_on AS payin_on, m.payout_on AND t.lead_payout_on AS payout_on,
       count(r.id) FILTER (WHERE r.status <> 'archived') AS requisites,
       count(r.id) FILTER (WHERE r.can_take_payin) AS requisites_online,
       coalesce(sum(r.open_orders), 0) AS open_orders
  FROM team m JOIN trader t ON t.team_id = m.id LEFT JOIN requisite r ON r.trader_id = t.id
 WHERE m.lead_id = %(lead)s
 GROUP BY t.id, m.id ORDER BY m.name, t.name, t.id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class TeamTrader:
    """A trader as their lead sees them. `requisites_online` can take a payin now.

    The switches are what the lead allows: the team's and this trader's together.
    """

    id: uuid.UUID
    name: str
    team: str
    mode: str
    status: str
    is_working: bool
    is_blocked: bool
    payin_on: bool
    payout_on: bool
    requisites: int
    requisites_online: int
    open_orders: int

    @property
    def is_online(self) -> bool:
        """Switched on, and with something to receive to."""
        return self.is_working and not self.is_blocked and self.requisites_online > 0


def list_traders_of_lead(lead_id: uuid.UUID, limit: int = 500) -> list[TeamTrader]:
    """The traders of this lead's teams, by team and name."""
    return [TeamTrader(**row) for row in hot(_OF_LEAD, {"lead": lead_id, "limit": limit})]


def list_trader_ids_of_lead(lead_id: uuid.UUID) -> tuple[uuid.UUID, ...]:
    """The traders of this lead's teams, both modes."""
    sql = "SELECT t.id FROM trader t JOIN team m ON m.id = t.team_id WHERE m.lead_id = %(lead)s ORDER BY t.id"
    return tuple(row["id"] for row in hot(sql, {"lead": lead_id}))


def trader_name(trader_id: uuid.UUID) -> str:
    """From memory; empty for one that was opened this moment."""
    terms = traders.get().by_id.get(trader_id)
    return terms.name if terms else ""


def list_requisites(trader_id: uuid.UUID) -> list[Requisite]:
    """A trader's requisites that are not archived, oldest first."""
    query = select(Requisite).where(
        Requisite.trader_id == trader_id, Requisite.status != RequisiteStatus.ARCHIVED
    )
    return list(db.session.scalars(query.order_by(Requisite.id)))


def get_requisite(requisite_id: uuid.UUID) -> Requisite:
    found = db.session.get(Requisite, requisite_id)
    if found is None:
        raise NotFound()
    return found


def requisite_number(requisite_id: uuid.UUID) -> str:
    """The full number, decrypted. Never log it."""
    return decrypt("requisite", "number", requisite_id, get_requisite(requisite_id).number_encrypted)


def get_team(team_id: uuid.UUID, *, lock: bool = False) -> Team:
    """Raises NotFound."""
    query = select(Team).where(Team.id == team_id).execution_options(populate_existing=True)
    found = db.session.scalar(query.with_for_update(key_share=True) if lock else query)
    if found is None:
        raise NotFound("There is no such team.")
    return found
