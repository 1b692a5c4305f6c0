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
from portal.traders.models import Requisite, Trader


@dataclass(frozen=True, slots=True)
class TraderTerms:
    """What an order needs to know of a trader: whose lead earns with them, and which of their accounts move."""

    id: uuid.UUID
    mode: str
    lead_id: uuid.UUID | None


_TRADERS = text("SELECT t.id, t.mode, m.lead_id FROM trader t LEFT JOIN team m ON m.id = t.team_id")


def _load(connection: Connection) -> Mapping[uuid.UUID, TraderTerms]:
    return {row.id: TraderTerms(row.id, row.mode, row.lead_id) for row in connection.execute(_TRADERS)}


traders = Snapshot("traders", _load, lambda: 10.0)


def get_trader_terms(trader_id: uuid.UUID) -> TraderTerms:
    """The trader's terms, or NotFound. A trader opened a moment ago by another process is found too."""
    terms = traders.get().get(trader_id)
    if terms is None:
        traders.forget()
        terms = traders.get().get(trader_id)
    if terms is None:
        raise NotFound()
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


def list_requisites(trader_id: uuid.UUID) -> list[Requisite]:
    """A trader's requisites that are not archived, oldest first."""
    query = select(Requisite).where(Requisite.trader_id == trader_id, Requisite.status != "archived")
    return list(db.session.scalars(query.order_by(Requisite.id)))


@dataclass(frozen=True, slots=True)
class RequisiteView:
    """A requisite as the payer of an order sees it: the full number included."""

    method: str
    bank: str | None
    number: str
    holder: str


def get_requisite(requisite_id: uuid.UUID) -> Requisite:
    found = db.session.get(Requisite, requisite_id)
    if found is None:
        raise NotFound()
    return found


def requisite_number(requisite_id: uuid.UUID) -> str:
    """The full number, decrypted. Never log it."""
    return decrypt("requisite", "number", requisite_id, get_requisite(requisite_id).number_encrypted)


def view_requisite(requisite_id: uuid.UUID) -> RequisiteView:
    found = get_requisite(requisite_id)
    number = decrypt("requisite", "number", requisite_id, found.number_encrypted)
    return RequisiteView(found.method, found.bank, number, found.holder)
