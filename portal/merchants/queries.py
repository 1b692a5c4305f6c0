"""Stores as orders need them: whole, immutable, and without a query on a hot request."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from portal.core.db import hot
from portal.core.errors import NotFound
from portal.core.modes import Mode
from portal.core.permissions import Permission, Reach
from portal.identity.models import MemberRole
from portal.identity.queries import read_grants
from portal.identity.roles import effective_permissions
from portal.reference.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What an order costs: basis points of its settlement amount, and a fixed part in settlement minor units."""

    store_fee_bps: int
    fixed_minor: int
    trader_commission_bps: int
    lead_commission_bps: int


@dataclass(frozen=True, slots=True)
class TrafficTerms:
    """Which traders may serve the store: only `pinned` if there are any, never `excluded`, shares of `split`."""

    pinned: tuple[uuid.UUID, ...] = ()
    excluded: tuple[uuid.UUID, ...] = ()
    split: tuple[tuple[uuid.UUID, int], ...] = ()


_NO_RULES = TrafficTerms()


@dataclass(frozen=True, slots=True)
class StoreTerms:
    """A store with its plans and traffic rules, as one immutable value."""

    id: uuid.UUID
    merchant_id: uuid.UUID
    name: str
    settlement_currency: str
    is_active: bool
    payin_enabled: bool
    payout_enabled: bool
    receipt_required: bool
    return_origins: tuple[str, ...]
    accent_colour: str
    support_contact: str | None
    logo_key: str | None
    created_at: datetime
    plans: Mapping[tuple[str, str | None], PlanTerms]
    traffic: TrafficTerms

    def traffic_for(self, mode: str) -> TrafficTerms:
        """Rules are about live traders; test orders go to the sandbox."""
        return self.traffic if mode == Mode.LIVE else _NO_RULES

    def plan(self, direction: str, method: str | None) -> PlanTerms | None:
        """The plan of this direction for this method, or the one for all methods."""
        return self.plans.get((direction, method)) or self.plans.get((direction, None))


_STORES = text(
    "SELECT s.*, m.is_active AS merchant_active FROM store s JOIN merchant m ON m.id = s.merchant_id"
)
_PLANS = text("SELECT * FROM fee_plan")
_TRAFFIC = text("SELECT * FROM store_traffic ORDER BY store_id, trader_id")


def _load(connection: Connection) -> Mapping[uuid.UUID, StoreTerms]:
    plans: dict[uuid.UUID, dict[tuple[str, str | None], PlanTerms]] = {}
    for row in connection.execute(_PLANS):
        terms = PlanTerms(
            row.store_fee_bps, row.fixed_minor, row.trader_commission_bps, row.lead_commission_bps
        )
        plans.setdefault(row.store_id, {})[row.direction, row.method] = terms
    rules: dict[uuid.UUID, dict[str, list[tuple[uuid.UUID, int]]]] = {}
    for row in connection.execute(_TRAFFIC):
        rules.setdefault(row.store_id, {}).setdefault(row.rule, []).append((row.trader_id, row.percent or 0))
    return {
        row.id: StoreTerms(
            row.id,
            row.merchant_id,
            row.name,
            row.settlement_currency,
            row.is_active and row.merchant_active,
            row.payin_enabled,
            row.payout_enabled,
            row.receipt_required,
            tuple(row.return_origins),
            row.accent_colour,
            row.support_contact,
            row.logo_key,
            row.created_at,
            plans.get(row.id, {}),
            _traffic(rules.get(row.id, {})),
        )
        for row in connection.execute(_STORES)
    }


def _traffic(rules: Mapping[str, list[tuple[uuid.UUID, int]]]) -> TrafficTerms:
    return TrafficTerms(
        tuple(trader for trader, _ in rules.get("pin", ())),
        tuple(trader for trader, _ in rules.get("exclude", ())),
        tuple(rules.get("split", ())),
    )


stores = Snapshot("stores", _load, lambda: 10.0)


def find_store(store_id: uuid.UUID) -> StoreTerms | None:
    return stores.get().get(store_id)


def get_store(store_id: uuid.UUID) -> StoreTerms:
    """The store, or NotFound."""
    store = find_store(store_id)
    if store is None:
        raise NotFound()
    return store


def list_store_names() -> dict[uuid.UUID, str]:
    """All stores' names by id, from memory."""
    return {store.id: store.name for store in stores.get().values()}


@dataclass(frozen=True, slots=True)
class Membership:
    """One store that a person works in, and what they may do there."""

    store: StoreTerms
    role: MemberRole
    permissions: Mapping[Permission, Reach]


_MEMBERSHIPS = """
SELECT s.id AS store_id, m.role,
       ARRAY(SELECT g.permission || ' ' || coalesce(g.reach, '') FROM permission_grant g WHERE g.user_id = m.user_id)
         AS grants
  FROM merchant_member m JOIN store s ON s.merchant_id = m.merchant_id
 WHERE m.user_id = %(user)s
   AND (m.has_all_stores OR EXISTS (
         SELECT 1 FROM merchant_member_store c
          WHERE c.merchant_id = m.merchant_id AND c.user_id = m.user_id AND c.store_id = s.id))
 ORDER BY s.id
"""


def list_memberships(user_id: uuid.UUID) -> list[Membership]:
    """The stores this person works in, oldest first, each with what their role at that merchant and their own
    grants and denials let them do there.
    """
    found = []
    for row in hot(_MEMBERSHIPS, {"user": user_id}):
        role = MemberRole(row["role"])
        permissions = effective_permissions((), (role,), read_grants(row["grants"]))
        found.append(Membership(get_store(row["store_id"]), role, permissions))
    return found


def list_stores_of_member(user_id: uuid.UUID, permission: Permission | None = None) -> list[StoreTerms]:
    """The stores this person works in, or those in which they have the permission, oldest first."""
    return [
        membership.store
        for membership in list_memberships(user_id)
        if permission is None or permission in membership.permissions
    ]


def list_stores_of_merchant(merchant_id: uuid.UUID) -> list[StoreTerms]:
    """A merchant's stores by name, from memory."""
    mine = (store for store in stores.get().values() if store.merchant_id == merchant_id)
    return sorted(mine, key=lambda store: (store.name.lower(), store.id))


_WORKS_FOR = """
SELECT EXISTS (SELECT 1 FROM store s JOIN merchant_member m ON m.merchant_id = s.merchant_id
                WHERE s.id = %(store)s AND m.user_id = %(user)s) AS found
"""


def works_for_store(user_id: uuid.UUID, store_id: uuid.UUID) -> bool:
    """Whether this person works for the store's merchant, in this store or in others of theirs."""
    return bool(hot(_WORKS_FOR, {"user": user_id, "store": store_id})[0]["found"])


_MEMBER_OF = """
SELECT m.merchant_id, c.name, m.role, m.has_all_stores,
       ARRAY(SELECT s.name FROM merchant_member_store w JOIN store s ON s.id = w.store_id
              WHERE w.merchant_id = m.merchant_id AND w.user_id = m.user_id ORDER BY s.name) AS store_names
  FROM merchant_member m JOIN merchant c ON c.id = m.merchant_id WHERE m.user_id = %(user)s ORDER BY c.name, c.id
"""


@dataclass(frozen=True, slots=True)
class MemberOf:
    """A merchant that a person works for; in all its stores, or in those named."""

    merchant_id: uuid.UUID
    name: str
    role: MemberRole
    has_all_stores: bool
    store_names: list[str]


def list_merchants_of_member(user_id: uuid.UUID) -> list[MemberOf]:
    """The merchants that this person works for, by name."""
    rows = hot(_MEMBER_OF, {"user": user_id})
    return [MemberOf(**row | {"role": MemberRole(row["role"])}) for row in rows]


def list_merchant_names() -> list[tuple[uuid.UUID, str]]:
    """All merchants, by name."""
    return [(row["id"], row["name"]) for row in hot("SELECT id, name FROM merchant ORDER BY name, id")]
