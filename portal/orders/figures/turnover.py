"""What traders or stores turned over in a period, for lists: its time does not grow with the history.

Each one's newest orders of the period are looked at, LOOKED_AT in all at most; where somebody has more, their
figures are of the newest ones and say so.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.core.db import hot
from portal.core.ids import least_id_at
from portal.core.modes import Mode

LOOKED_AT = 200_000
LEAST_EACH = 200

_OF = """
SELECT w.id AS owner_id, o.settlement_currency AS currency, count(*) AS orders,
       count(*) FILTER (WHERE o.status = 'completed') AS completed,
       coalesce(sum(o.settlement_minor) FILTER (WHERE o.status = 'completed'), 0)::bigint AS minor
  FROM unnest(%(owners)s::uuid[]) AS w(id) CROSS JOIN LATERAL (
    SELECT o.status, o.settlement_currency, o.settlement_minor FROM orders o
     WHERE {whose} AND o.id >= %(since)s AND o.mode = %(mode)s
     ORDER BY o.id DESC LIMIT %(each)s) o
 GROUP BY w.id, o.settlement_currency
"""
_OF_TRADERS = _OF.format(whose="o.trader_id = w.id AND o.ended_at IS NOT NULL")
_OF_STORES = _OF.format(whose="o.store_id = w.id")


# Everybody's, of the newest orders of the period.
_OF_EVERYBODY = """
SELECT o.owner_id, o.settlement_currency AS currency, count(*) AS orders,
       count(*) FILTER (WHERE o.status = 'completed') AS completed,
       coalesce(sum(o.settlement_minor) FILTER (WHERE o.status = 'completed'), 0)::bigint AS minor
  FROM (SELECT {owner} AS owner_id, o.status, o.settlement_currency, o.settlement_minor FROM orders o
         WHERE o.id >= %(since)s AND o.mode = %(mode)s AND {counts} ORDER BY o.id DESC LIMIT %(each)s) o
 GROUP BY o.owner_id, o.settlement_currency
"""
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
    traders: Iterable[uuid.UUID], mode: Mode, since: datetime
) -> Mapping[uuid.UUID, Turnover]:
    """Of the orders created since then that have ended, by trader; who had none is not in it."""
    return _read(_OF_TRADERS, list(traders), mode, since)


def turnover_by_store(
    stores: Iterable[uuid.UUID], mode: Mode, since: datetime
) -> Mapping[uuid.UUID, Turnover]:
    """Of the orders created since then, by store; who had none is not in it."""
    return _read(_OF_STORES, list(stores), mode, since)


def turnover_of_all_traders(mode: Mode, since: datetime) -> Mapping[uuid.UUID, Turnover]:
    """As turnover_by_trader, of whoever had orders among the newest LOOKED_AT of the period."""
    return _read_all(_OF_ALL_TRADERS, mode, since)


def turnover_of_all_stores(mode: Mode, since: datetime) -> Mapping[uuid.UUID, Turnover]:
    """As turnover_by_store, of whoever had orders among the newest LOOKED_AT of the period."""
    return _read_all(_OF_ALL_STORES, mode, since)


def _read_all(sql: str, mode: Mode, since: datetime) -> dict[uuid.UUID, Turnover]:
    rows = hot(sql, {"mode": mode.value, "since": least_id_at(since), "each": LOOKED_AT})
    return _summed(rows, sum(row["orders"] for row in rows) < LOOKED_AT)


def _read(sql: str, owners: list[uuid.UUID], mode: Mode, since: datetime) -> dict[uuid.UUID, Turnover]:
    if not owners:
        return {}
    each = max(LOOKED_AT // len(owners), LEAST_EACH)
    values = {"owners": owners, "mode": mode.value, "since": least_id_at(since), "each": each}
    found = _summed(hot(sql, values), is_whole=True)
    return {
        owner: Turnover(t.orders, t.completed, t.minor, t.currency, t.orders < each)
        for owner, t in found.items()
    }


def _summed(rows: Iterable[dict[str, Any]], is_whole: bool) -> dict[uuid.UUID, Turnover]:
    found: dict[uuid.UUID, Turnover] = {}
    for row in rows:
        owner = row.pop("owner_id")
        found[owner] = found.get(owner, NOTHING) + Turnover(**row, is_whole=is_whole)
    return found
