"""Lists of orders, for people and for the API: of some stores, of some traders, or of everybody. Newest first.

Which orders somebody may see is said by `Whose`; the caller takes it from what the person may do.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_type_hints

from portal.core.db import hot
from portal.core.ids import least_id_at
from portal.core.modes import Mode
from portal.orders.models import OPEN, Status, sql_list
from portal.orders.record import COLUMNS, OrderRecord, record_of

# Statuses whose deadline is days away at most, so that such an order is always among the newest.
_PASSING = frozenset(
    {Status.MATCHING, Status.AWAITING_PAYMENT, Status.AWAITING_PAYOUT, Status.AWAITING_CONFIRMATION}
)
_LONGEST_PASSING_S = 60 * 86400


@dataclass(frozen=True, slots=True)
class Whose:
    """Orders of these stores, else of these traders, else everybody's. An empty tuple is nobody's."""

    stores: tuple[uuid.UUID, ...] | None = None
    traders: tuple[uuid.UUID, ...] | None = None

    @property
    def owners(self) -> list[uuid.UUID]:
        return list(self.stores if self.stores is not None else self.traders or ())


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An order as one line of a list. Fiat in minor units of `currency`, the rest of `settlement_currency`."""

    id: uuid.UUID
    direction: str
    status: str
    status_reason: str | None
    store_id: uuid.UUID
    trader_id: uuid.UUID | None
    external_id: str | None
    amount_minor: int
    amount_received_minor: int | None
    amount_reported_minor: int | None
    currency: str
    method: str | None
    settlement_minor: int
    fee_minor: int
    settlement_currency: str
    created_at: datetime
    ended_at: datetime | None
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """What a list may be narrowed by; None does not narrow. `created_from` counts, `created_to` does not."""

    order_id: uuid.UUID | None = None
    external_id: str | None = None
    status: str | None = None
    direction: str | None = None
    store_id: uuid.UUID | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


_TYPES = get_type_hints(OrderLine)
LINE = ", ".join(f"o.{name}" for name in _TYPES)
# What JSON has as text.
_READ_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    name: read
    for name, kind in _TYPES.items()
    for read, kinds in (
        (datetime.fromisoformat, {datetime, datetime | None}),
        (uuid.UUID, {uuid.UUID, uuid.UUID | None}),
    )
    if kind in kinds
}
_CONDITIONS = {
    "order_id": "o.id = %(order_id)s",
    "external_id": "o.external_id = %(external_id)s",
    "status": "o.status = %(status)s",
    "passing": "o.status = %(status)s AND o.id >= %(id_passing)s",
    "direction": "o.direction = %(direction)s",
    "store_id": "o.store_id = %(store_id)s",
    "created_from": "o.created_at >= %(created_from)s AND o.id >= %(id_from)s",
    "created_to": "o.created_at < %(created_to)s AND o.id < %(id_to)s",
    "older": "o.id < %(after)s",
    "newer": "o.id > %(after)s",
}
_END = "ORDER BY o.id DESC LIMIT %(limit)s"
_OLDEST_FIRST = "ORDER BY o.id LIMIT %(limit)s"
# Every branch is a range of one index. A trader's orders are in two: those that ended, and those that have not.
_OF_STORES = """
SELECT o.* FROM unnest(%(owners)s::uuid[]) AS w(id) CROSS JOIN LATERAL (
  SELECT {line} FROM orders o WHERE o.store_id = w.id AND o.mode = %(mode)s{narrowed} {end}) o {end}
"""
_OF_TRADERS = """
SELECT o.* FROM unnest(%(owners)s::uuid[]) AS w(id) CROSS JOIN LATERAL (
  (SELECT {line} FROM orders o
    WHERE o.trader_id = w.id AND o.ended_at IS NOT NULL AND o.mode = %(mode)s{narrowed} {end})
  UNION ALL
  (SELECT {line} FROM orders o
    WHERE o.trader_id = w.id AND o.ended_at IS NULL AND o.mode = %(mode)s{narrowed}
      AND o.status IN {open} {end})) o {end}
""".replace("{open}", sql_list(OPEN))
# A shop asks for its own: the statement in which the planner has least to do.
_OF_ONE_STORE = """
SELECT {line} FROM orders o WHERE o.store_id = %(owner)s AND o.mode = %(mode)s{narrowed} {end}
"""
_OF_ALL = "SELECT {line} FROM orders o WHERE o.mode = %(mode)s{narrowed} {end}"


def statement_of(whose: Whose, line: str = LINE, narrowed: str = "", end: str = _END) -> str:
    """The statement that lists these people's orders: a handful of constant texts in all."""
    of_traders = _OF_ALL if whose.traders is None else _OF_TRADERS
    text = of_traders if whose.stores is None else _OF_STORES
    return text.format(line=line, narrowed=narrowed, end=end)


def line_from_json(values: Mapping[str, Any]) -> OrderLine:
    """The line of a row of LINE that came as an object of JSON."""
    read = {
        name: reader(values[name]) for name, reader in _READ_FROM_TEXT.items() if values[name] is not None
    }
    return OrderLine(**{**values, **read})


def list_orders(
    whose: Whose,
    mode: Mode,
    narrow: OrderFilter,
    limit: int,
    *,
    after: uuid.UUID | None = None,
    oldest_first: bool = False,
) -> list[OrderLine]:
    """At most `limit` orders, newest first unless said, those behind `after`: the id of the last one of a page."""
    return [OrderLine(**row) for row in _read(LINE, whose, mode, narrow, limit, after, oldest_first)]


def list_whole_orders(
    whose: Whose, mode: Mode, narrow: OrderFilter, limit: int, *, after: uuid.UUID | None = None
) -> list[OrderRecord]:
    """As `list_orders`, newest first, with all that is known of each order."""
    return [record_of(row) for row in _read(COLUMNS, whose, mode, narrow, limit, after, False)]


def _read(
    line: str,
    whose: Whose,
    mode: Mode,
    narrow: OrderFilter,
    limit: int,
    after: uuid.UUID | None,
    oldest_first: bool,
) -> list[dict[str, Any]]:
    """Ids grow with time, so that a range of times is also a range of the index (with a minute to spare for clocks
    that differ).
    """
    asked = {name for name in _CONDITIONS if getattr(narrow, name, None) is not None}
    if after is not None:
        asked.add("newer" if oldest_first else "older")
    if narrow.status in _PASSING:
        asked = asked - {"status"} | {"passing"}
    narrowed = "".join(f" AND {sql}" for name, sql in _CONDITIONS.items() if name in asked)
    end = _OLDEST_FIRST if oldest_first else _END
    owners = whose.owners
    is_one_store = whose.stores is not None and len(owners) == 1
    params: dict[str, Any] = {name: getattr(narrow, name, None) for name in _CONDITIONS} | {
        "id_passing": least_id_at(datetime.now(UTC), -_LONGEST_PASSING_S),
        "id_from": least_id_at(narrow.created_from, -60),
        "id_to": least_id_at(narrow.created_to, 60),
        "owners": owners,
        "owner": owners[0] if is_one_store else None,
        "mode": mode.value,
        "limit": limit,
        "after": after,
    }
    if is_one_store:
        return hot(_OF_ONE_STORE.format(line=line, narrowed=narrowed, end=end), params)
    return hot(statement_of(whose, line=line, narrowed=narrowed, end=end), params)
