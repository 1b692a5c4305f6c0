"""What traders or stores turned over in a period, for lists: its time does not grow with the history.

Each one's newest orders of the period are looked at, LOOKED_AT_IN_ALL at most; where somebody has more, their
figures are of the newest ones and say so.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from portal.core.db import hot
from portal.core.ids import least_id_at
from portal.core.modes import Mode

LOOKED_AT_IN_ALL = 200_000
LEAST_EACH = 200

_SUMS = """
SELECT o.owner_id, o.settlement_currency AS currency, count(*) AS orders,
       count(*) FILTER (WHERE o.status = 'completed') AS completed,
       coalesce(sum(o.settlement_minor) FILTER (WHERE o.status = 'completed'), 0)::bigint AS minor
  FROM {orders}
 GROUP BY o.owner_id, o.settlement_currency
"""
_NEWEST = """(
    SELECT {owner} AS owner_id, o.status, o.settlement_currency, o.settlement_minor FROM orders o
     WHERE {counts} AND o.id >= %(id_since)s AND o.created_at >= %(since)s AND o.mode = %(mode)s
     ORDER BY o.id DESC LIMIT %(each)s) o"""
_OF_SOME = _SUMS.format(orders="unnest(%(owners)s::uuid[]) AS w(id) CROSS JOIN LATERAL " + _NEWEST)
_OF_TRADERS = _OF_SOME.format(owner="w.id", counts="o.trader_id = w.id AND o.ended_at IS NOT NULL")
_OF_STORES = _OF_SOME.format(owner="w.id", counts="o.store_id = w.id")
# Everybody's, of the newest orders of the period.
_OF_EVERYBODY = _SUMS.format(orders=_NEWEST)
_OF_ALL_TRADERS = _OF_EVERYBODY.format(
    owner="o.trader_id", counts="o.trader_id IS NOT NULL AND o.ended_at IS NOT NULL"
)
_OF_ALL_STORES = _OF_EVERYBODY.format(owner="o.store_id", counts="true")


@dataclass(frozen=True, slots=True)
class Turnover:
    """Orders of one period; `minor` of `currency` (settlement) is what the completed ones moved.

    Not `is_whole`: there were more orders than were looked at.
    """

    orders: int = 0
    completed: int = 0
    minor: int = 0
    currency: str = ""
    is_whole: bool = True

    def __add__(self, other: Turnover) -> Turnover:
        """Both together, the money in the currency that moved more often."""
        first, second = (self, other) if self.completed >= other.completed else (other, self)
        same = first.currency == second.currency or not first.currency
        return Turnover(
            self.orders + other.orders,
            self.completed + other.completed,
            first.minor + (second.minor if same else 0),
            first.currency or second.currency,
            self.is_whole and other.is_whole,
        )


NOTHING = Turnover()


def turnover_by_trader(
    traders: Iterable[uuid.UUID],
    mode: Mode,
    since: datetime,
    *,
    currency: str | None = None,
    each: int | None = None,
) -> Mapping[uuid.UUID, Turnover]:
    """Of the orders created since then that have ended, by trader; who had none is not in it.

    With `currency` of those that settle in it alone. `each`: how many of a trader's newest are looked at, instead of
    their share of LOOKED_AT_IN_ALL.
    """
    return _read(_OF_TRADERS, list(traders), mode, since, currency, each)


def turnover_by_store(
    stores: Iterable[uuid.UUID], mode: Mode, since: datetime
) -> Mapping[uuid.UUID, Turnover]:
    """Of the orders created since then, by store; who had none is not in it."""
    return _read(_OF_STORES, list(stores), mode, since)


def turnover_of_all_traders(mode: Mode, since: datetime) -> Mapping[uuid.UUID, Turnover]:
    """As turnover_by_trader, of whoever had orders among the newest LOOKED_AT_IN_ALL of the period."""
    return _read_all(_OF_ALL_TRADERS, mode, since)


def turnover_of_all_stores(mode: Mode, since: datetime) -> Mapping[uuid.UUID, Turnover]:
    """As turnover_by_store, of whoever had orders among the newest LOOKED_AT_IN_ALL of the period."""
    return _read_all(_OF_ALL_STORES, mode, since)


def _read_all(sql: str, mode: Mode, since: datetime) -> dict[uuid.UUID, Turnover]:
    rows = hot(sql, _values(mode, since, LOOKED_AT_IN_ALL))
    return _summed(rows, sum(row["orders"] for row in rows) < LOOKED_AT_IN_ALL)


def _read(
    sql: str,
    owners: list[uuid.UUID],
    mode: Mode,
    since: datetime,
    currency: str | None = None,
    each: int | None = None,
) -> dict[uuid.UUID, Turnover]:
    if not owners:
        return {}
    each = each or max(LOOKED_AT_IN_ALL // len(owners), LEAST_EACH)
    rows = hot(sql, _values(mode, since, each) | {"owners": owners})
    seen = Counter[uuid.UUID]()
    for row in rows:
        seen[row["owner_id"]] += row["orders"]
    found = _summed((row for row in rows if currency in {None, row["currency"]}), is_whole=True)
    return {owner: replace(one, is_whole=seen[owner] < each) for owner, one in found.items()}


def _values(mode: Mode, since: datetime, each: int) -> dict[str, Any]:
    """Ids grow with time, with a minute to spare for clocks that differ; when an order was created says the row."""
    return {"mode": mode.value, "since": since, "id_since": least_id_at(since, -60), "each": each}


def _summed(rows: Iterable[dict[str, Any]], is_whole: bool) -> dict[uuid.UUID, Turnover]:
    found: dict[uuid.UUID, Turnover] = {}
    for row in rows:
        owner = row.pop("owner_id")
        found[owner] = found.get(owner, NOTHING) + Turnover(**row, is_whole=is_whole)
    return found
