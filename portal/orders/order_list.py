"""Lists of orders for people: of some stores, of some traders, or of everybody. Newest first, by keyset.

Which orders somebody may see is said by `Whose`; the caller takes it from what the person may do.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from portal.core.db import hot
from portal.core.modes import Mode
from portal.orders.queries import PASSING, least_id_at

_LONGEST_PASSING_S = 60 * 86400
LAST_ID = uuid.UUID(int=2**128 - 1)


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
class Narrow:
    """What a list may be narrowed by; None does not narrow. `beyond` is the id after which the page starts."""

    order_id: uuid.UUID | None = None
    external_id: str | None = None
    status: str | None = None
    direction: str | None = None
    store_id: uuid.UUID | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    beyond: uuid.UUID | None = None


LINE = ", ".join(f"o.{name}" for name in OrderLine.__dataclass_fields__)
_CONDITIONS = {
    "order_id": "o.id = %(order_id)s",
    "external_id": "o.external_id = %(external_id)s",
    "status": "o.status = %(status)s",
    "passing": "o.status = %(status)s AND o.id >= %(id_passing)s",
    "direction": "o.direction = %(direction)s",
    "store_id": "o.store_id = %(store_id)s",
    "created_from": "o.created_at >= %(created_from)s AND o.id >= %(id_from)s",
    "created_to": "o.created_at < %(created_to)s AND o.id < %(id_to)s",
    "older": "o.id < %(beyond)s",
    "newer": "o.id > %(beyond)s",
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
      AND o.status IN ('review', 'matching', 'awaiting_payment', 'awaiting_payout', 'awaiting_confirmation',
                       'disputed') {end})) o {end}
"""
_OF_ALL = "SELECT {line} FROM orders o WHERE o.mode = %(mode)s{narrowed} {end}"


def statement_of(whose: Whose, line: str = LINE, narrowed: str = "", end: str = _END) -> str:
    """The statement that lists these people's orders: a handful of constant texts in all."""
    of_traders = _OF_ALL if whose.traders is None else _OF_TRADERS
    text = of_traders if whose.stores is None else _OF_STORES
    return text.format(line=line, narrowed=narrowed, end=end)


def list_orders(
    whose: Whose, mode: Mode, narrow: Narrow, limit: int, *, oldest_first: bool = False
) -> list[OrderLine]:
    """At most `limit` orders, newest first unless said; the id of the last one is the next page's `beyond`.

    Ids grow with time, so that a range of times is also a range of the index (with a minute to spare for
    clocks that differ).
    """
    asked = {name for name in _CONDITIONS if getattr(narrow, name, None) is not None}
    if narrow.beyond is not None:
        asked.add("newer" if oldest_first else "older")
    if narrow.status in PASSING:
        asked = asked - {"status"} | {"passing"}
    narrowed = "".join(f" AND {sql}" for name, sql in _CONDITIONS.items() if name in asked)
    params: dict[str, Any] = {name: getattr(narrow, name, None) for name in _CONDITIONS} | {
        "id_passing": least_id_at(datetime.now(UTC), -_LONGEST_PASSING_S),
        "id_from": least_id_at(narrow.created_from, -60),
        "id_to": least_id_at(narrow.created_to, 60),
        "owners": whose.owners,
        "mode": mode.value,
        "limit": limit,
        "beyond": narrow.beyond,
    }
    sql = statement_of(whose, narrowed=narrowed, end=_OLDEST_FIRST if oldest_first else _END)
    return [OrderLine(**row) for row in hot(sql, params)]
