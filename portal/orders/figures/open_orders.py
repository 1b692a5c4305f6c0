"""How many orders have not ended, by where they stand: all of them, or as many as a page shows.

The partial indexes of open orders answer both, whatever the history.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from portal.core.db import hot, take_time, transaction
from portal.core.modes import Mode
from portal.orders.models import STANDING, UNDER_WAY, sql_list

# What home pages count is counted so far: COUNTED_TO + 1 means more.
COUNTED_TO = 999

_STANDS = f"status IN {sql_list(STANDING)}"
_IS_UNDER_WAY = f"trader_id IS NOT NULL AND status IN {sql_list(UNDER_WAY)}"
_ALL = f"""
SELECT status, direction, mode, count(*) AS orders FROM orders
WHERE {_STANDS} OR ({_IS_UNDER_WAY})
GROUP BY status, direction, mode
"""  # noqa: S608
_UP_TO = f"""
SELECT s.status, count(*) AS n FROM (
  (SELECT status FROM orders WHERE {_STANDS} AND mode = %(mode)s LIMIT %(limit)s)
  UNION ALL
  (SELECT status FROM orders WHERE {_IS_UNDER_WAY} AND mode = %(mode)s LIMIT %(limit)s)
) s GROUP BY s.status
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """How many orders stand in one status that is not their last."""

    status: str
    direction: str
    mode: str
    orders: int


def count_open_orders() -> list[OpenOrders]:
    """All orders in each open status, by direction and mode."""
    return [OpenOrders(**row) for row in hot(_ALL)]


def count_running_orders() -> dict[str, int]:
    """Those of all modes by their status: what one waits for before switching everything off. Takes its time."""
    with transaction():
        take_time()
        found = Counter[str]()
        for line in count_open_orders():
            found[line.status] += line.orders
    return dict(sorted(found.items()))


def count_open_up_to(mode: Mode) -> dict[str, int]:
    """Everybody's orders of the mode by their status, each counted up to about COUNTED_TO: for pages."""
    rows = hot(_UP_TO, {"mode": mode.value, "limit": COUNTED_TO + 1})
    return {row["status"]: int(row["n"]) for row in rows}
