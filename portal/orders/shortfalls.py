"""Payins that were completed below their amount on a trader's word alone: a trader has a few of them in a day."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from portal.core.db import hot
from portal.reference import configuration as config

# Along ix_orders_trader_ended_at. No more are looked at than make a difference.
_FOUND = """
  SELECT 1 FROM orders o
   WHERE o.trader_id = {trader} AND o.ended_at > {now} - interval '24 hours' AND o.direction = 'payin'
     AND o.status = 'completed' AND o.amount_received_minor < o.amount_minor
     AND EXISTS (SELECT 1 FROM order_event e
                  WHERE e.order_id = o.id AND e.to_status = 'completed' AND e.actor_kind = 'trader')
   LIMIT %(most)s
"""
_COUNT = f"SELECT count(*) AS n FROM ({_FOUND.format(trader='%(trader)s', now='%(now)s')}) s"  # noqa: S608
_USED_UP = f"""
SELECT t.id, t.name, (now() AT TIME ZONE 'UTC')::date AS day FROM trader t
 WHERE t.id = ANY(%(traders)s::uuid[])
   AND %(most)s <= (SELECT count(*) FROM ({_FOUND.format(trader="t.id", now="now()")}) s)
"""  # noqa: S608 - built once from constants
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%(trader)s::text, 34))"


def is_one_left(trader_id: uuid.UUID, now: datetime) -> bool:
    """Whether the trader may complete another one. Locks their shortfalls until the end of the transaction."""
    hot(_LOCK, {"trader": trader_id})
    most = config.get(config.TOLERANCE_TRADER_DAY)
    return most > int(hot(_COUNT, {"trader": trader_id, "now": now, "most": most})[0]["n"])


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A trader who has no more of them for now; `day` is today by UTC, of which they had `most`."""

    trader_id: uuid.UUID
    name: str
    day: str
    most: int


def list_used_up(trader_ids: Collection[uuid.UUID]) -> list[UsedUp]:
    """Those of these traders who have used up what they had. Nobody has where there is none to use. One statement."""
    most = config.get(config.TOLERANCE_TRADER_DAY)
    if not most or not trader_ids:
        return []
    rows = hot(_USED_UP, {"traders": list(trader_ids), "most": most})
    return [UsedUp(row["id"], row["name"], row["day"].isoformat(), most) for row in rows]
