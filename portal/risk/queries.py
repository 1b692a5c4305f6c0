"""Reads of rules and lists: what decides is served from memory, what people look at from the tables."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from sqlalchemy import Connection, select, text

from portal.core.db import db
from portal.core.errors import NotFound, ValidationFailed
from portal.reference import configuration as config
from portal.reference.snapshot import Snapshot
from portal.risk.facts import OrderFacts
from portal.risk.models import ListKind, ListName, RiskAction, RiskDecision, RiskListEntry, RiskRule, RuleMode
from portal.risk.rules import Condition, read_conditions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A rule that is on or in shadow. `conditions` is None when what is stored can't be read any more."""

    id: uuid.UUID
    name: str
    version: int
    action: RiskAction
    is_shadow: bool
    conditions: tuple[Condition, ...] | None


@dataclass(frozen=True, slots=True)
class Listed:
    id: uuid.UUID
    list: ListName
    kind: ListKind
    expires_at: datetime | None
    network: IPv4Network | IPv6Network | None = None

    def is_in_force(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Active rules by priority, and the lists. `is_empty`: nobody is asked anything."""

    rules: tuple[ActiveRule, ...]
    listed: dict[tuple[ListKind, str], tuple[Listed, ...]]
    networks: tuple[Listed, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.rules or self.listed or self.networks)

    def entries_about(self, order: OrderFacts) -> Iterator[Listed]:
        """The list entries in force that name this order's customer, address, number or email domain."""
        for key in _keys(order):
            yield from (entry for entry in self.listed.get(key, ()) if entry.is_in_force(order.at))
        address = order.address
        if address is not None:
            for entry in self.networks:
                if entry.network is not None and address in entry.network and entry.is_in_force(order.at):
                    yield entry


def _keys(order: OrderFacts) -> Iterator[tuple[ListKind, str]]:
    if order.customer_ref is not None:
        yield ListKind.CUSTOMER, f"{order.store_id}:{order.customer_ref}"
    if order.address is not None:
        yield ListKind.IP, str(order.address)
    if order.requisite_index is not None:
        yield ListKind.REQUISITE_NUMBER, order.requisite_index.hex()
    if order.email_domain is not None:
        yield ListKind.EMAIL_DOMAIN, order.email_domain


_RULES = text(
    "SELECT id, name, version, action, mode, conditions FROM risk_rule"
    " WHERE mode <> 'off' ORDER BY priority, id"
)
_LISTS = text("SELECT id, list, kind, value, expires_at FROM risk_list_entry")


def _load(connection: Connection) -> RuleBook:
    rules = tuple(
        ActiveRule(
            row.id,
            row.name,
            row.version,
            RiskAction(row.action),
            row.mode == RuleMode.SHADOW.value,
            _readable(row.name, row.conditions),
        )
        for row in connection.execute(_RULES)
    )
    listed: dict[tuple[ListKind, str], tuple[Listed, ...]] = {}
    networks: list[Listed] = []
    for row in connection.execute(_LISTS):
        kind, name = ListKind(row.kind), ListName(row.list)
        if kind is ListKind.NETWORK:
            networks.append(Listed(row.id, name, kind, row.expires_at, ip_network(row.value)))
        else:
            entry = Listed(row.id, name, kind, row.expires_at)
            listed[kind, row.value] = (*listed.get((kind, row.value), ()), entry)
    return RuleBook(rules, listed, tuple(networks))


def _readable(name: str, stored: object) -> tuple[Condition, ...] | None:
    try:
        return read_conditions(stored)
    except ValidationFailed as error:
        log.error("risk rule %s cannot be read, its orders go to review: %s", name, error.detail)
        return None


snapshot = Snapshot("risk", _load, lambda: config.get(config.RISK_CACHE_TTL_S))


def rule_book() -> RuleBook:
    """The rules and lists in force, from memory."""
    return snapshot.get()


def list_rules() -> list[RiskRule]:
    """All rules by priority, also those that are off."""
    return list(db.session.scalars(select(RiskRule).order_by(RiskRule.priority, RiskRule.id)))


def get_rule(name: str, *, lock: bool = False) -> RiskRule:
    """The rule. Raises NotFound."""
    query = select(RiskRule).where(RiskRule.name == name)
    rule: RiskRule | None = db.session.scalar(query.with_for_update() if lock else query)
    if rule is None:
        raise NotFound(f"There is no rule {name[:80]!r}.")
    return rule


def list_entries() -> list[RiskListEntry]:
    """All entries of the lists, newest first."""
    return list(db.session.scalars(select(RiskListEntry).order_by(RiskListEntry.id.desc())))


def decisions_of(order_id: uuid.UUID) -> list[RiskDecision]:
    """What was decided about an order, oldest first; empty when nothing was asked."""
    query = select(RiskDecision).where(RiskDecision.order_id == order_id).order_by(RiskDecision.id)
    return list(db.session.scalars(query))


# All decisions about one order, as JSON: for a statement that reads them beside other things.
DECISIONS_OF_ORDER = """
SELECT jsonb_agg(jsonb_build_object('decision', d.decision, 'fired', d.fired, 'errors', d.errors, 'at', d.created_at)
                 ORDER BY d.id)
  FROM risk_decision d WHERE d.order_id = %(subject_id)s
"""


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """What was decided about an order, and the names of what counted; `watched` only would have."""

    decision: RiskAction
    at: datetime
    counted: tuple[str, ...]
    watched: tuple[str, ...]
    broken: tuple[str, ...]


def decisions_from(rows: Sequence[Mapping[str, Any]] | None) -> tuple[DecisionLine, ...]:
    """What DECISIONS_OF_ORDER gave."""
    return tuple(_decision(row) for row in rows or ())


def _decision(row: Mapping[str, Any]) -> DecisionLine:
    fired = [(rule.get("name") or rule.get("list") or "", bool(rule.get("shadow"))) for rule in row["fired"]]
    return DecisionLine(
        RiskAction(row["decision"]),
        datetime.fromisoformat(row["at"]),
        tuple(name for name, is_shadow in fired if not is_shadow),
        tuple(name for name, is_shadow in fired if is_shadow),
        tuple(error["name"] for error in row["errors"]),
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order in review, and the names of the rules that fired on it or could not be judged."""

    order_id: uuid.UUID
    direction: str
    amount_minor: int
    currency: str
    created_at: datetime
    due_at: datetime | None
    reasons: tuple[str, ...]


_WAITING = text(
    "SELECT o.id, o.direction, o.amount_minor, o.currency, o.created_at, o.due_at, d.fired, d.errors"
    " FROM orders o LEFT JOIN LATERAL (SELECT fired, errors FROM risk_decision"
    " WHERE order_id = o.id ORDER BY id DESC LIMIT 1) d ON true"
    " WHERE o.status = 'review' AND o.mode = 'live' ORDER BY o.id LIMIT :limit"
)


def list_waiting(limit: int = 100) -> list[Waiting]:
    """Live orders that wait for a person, oldest first."""
    waiting = []
    for row in db.session.execute(_WAITING, {"limit": limit}):
        fired = [rule["name"] for rule in row.fired or () if "name" in rule and not rule["shadow"]]
        broken = [f"{error['name']} (not judged)" for error in row.errors or ()]
        waiting.append(
            Waiting(
                row.id,
                row.direction,
                row.amount_minor,
                row.currency,
                row.created_at,
                row.due_at,
                tuple(fired + broken),
            )
        )
    return waiting
