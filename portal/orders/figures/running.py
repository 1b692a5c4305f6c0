"""How many orders still have something to happen: what one waits for before switching everything off."""

from __future__ import annotations

from portal.core.db import hot, take_time, transaction
from portal.orders.models import ENDED, sql_list

_RUNNING = f"""
SELECT status, count(*) AS orders FROM orders
 WHERE status NOT IN {sql_list(ENDED)} GROUP BY status ORDER BY status
"""  # noqa: S608


def count_running_orders() -> dict[str, int]:
    """Orders that have not ended, by their status. Reads the whole table."""
    with transaction():
        take_time()
        return {row["status"]: row["orders"] for row in hot(_RUNNING)}
