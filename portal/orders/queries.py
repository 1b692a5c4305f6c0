"""Reading orders, always scoped by whose they are. A stranger's id is NotFound."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.core.crypto import decrypt
from portal.core.db import hot, read_rows
from portal.core.errors import NotFound
from portal.core.modes import Mode
from portal.matching.verdicts import PAYOUT_GATE
from portal.orders.models import ASSIGNED, sql_list
from portal.orders.record import COLUMNS, OrderRecord, record_of
from portal.reference import configuration as config

_BY_ID = f"SELECT {COLUMNS} FROM orders o WHERE o.id = %(id)s"  # noqa: S608
_LOCK = " FOR NO KEY UPDATE OF o"
_FOR_STORE = f"{_BY_ID} AND o.store_id = %(store_id)s AND o.mode = %(mode)s"
_FOR_TRADER = f"{_BY_ID} AND o.trader_id = %(trader_id)s"


def _one(sql: str, params: dict[str, Any], *, lock: bool) -> OrderRecord:
    rows = hot(sql + _LOCK, params) if lock else read_rows(sql, params)
    if not rows:
        raise NotFound("There is no such order.")
    return record_of(rows[0])


def get_order(order_id: uuid.UUID, *, lock: bool = False) -> OrderRecord:
    """Any order: for staff with the permission, and for the system. `lock` takes the row lock."""
    return _one(_BY_ID, {"id": order_id}, lock=lock)


def get_order_for_store(
    store_id: uuid.UUID, mode: Mode, order_id: uuid.UUID, *, lock: bool = False
) -> OrderRecord:
    """An order of this store and mode. Raises NotFound."""
    return _one(_FOR_STORE, {"id": order_id, "store_id": store_id, "mode": mode.value}, lock=lock)


def get_order_for_trader(trader_id: uuid.UUID, order_id: uuid.UUID, *, lock: bool = False) -> OrderRecord:
    """An order that is this trader's now. Raises NotFound."""
    return _one(_FOR_TRADER, {"id": order_id, "trader_id": trader_id}, lock=lock)


_TRACE = "SELECT match_trace FROM orders WHERE id = %(id)s"


def get_match_trace(order_id: uuid.UUID) -> dict[str, Any]:
    """How the last search for a requisite went; empty while there was none."""
    return read_rows(_TRACE, {"id": order_id})[0]["match_trace"] or {}


_NUMBER = "SELECT number_encrypted FROM requisite WHERE id = %(id)s"


def requisite_number_of(order: OrderRecord) -> str | None:
    """The full number of the order's requisite; None while there is none. Never log it."""
    if order.requisite_id is None:
        return None
    rows = hot(_NUMBER, {"id": order.requisite_id})
    return decrypt("requisite", "number", order.requisite_id, rows[0]["number_encrypted"])


def recipient_number_of(order: OrderRecord) -> str | None:
    """The full number a payout goes to. Never log it."""
    if order.recipient_number_encrypted is None:
        return None
    return decrypt("orders", "recipient_number", order.id, order.recipient_number_encrypted)


_FIRST = f"""
SELECT {COLUMNS} FROM orders o
 WHERE o.store_id = %(store_id)s AND o.mode = %(mode)s AND o.external_id = %(external_id)s
"""  # noqa: S608


def find_order_by_external_id(store_id: uuid.UUID, mode: Mode, external_id: str) -> OrderRecord | None:
    rows = hot(_FIRST, {"store_id": store_id, "mode": mode.value, "external_id": external_id})
    return record_of(rows[0]) if rows else None


_QUEUE = f"""
SELECT {COLUMNS} FROM orders o
 WHERE o.trader_id = %(trader_id)s
   AND o.status IN {sql_list(ASSIGNED)}
 ORDER BY o.status = CASE o.direction WHEN 'payin' THEN 'awaiting_confirmation' ELSE 'awaiting_payout' END DESC,
          o.due_at NULLS LAST, o.id LIMIT %(limit)s
"""  # noqa: S608


def list_queue_for_trader(trader_id: uuid.UUID, limit: int = 200) -> list[OrderRecord]:
    """What the trader works on now: claimed payins and accepted payouts, then what waits for others.

    Among each the least time left comes first. The limit cuts what waits for others.
    """
    return [record_of(row) for row in hot(_QUEUE, {"trader_id": trader_id, "limit": limit})]


_OFFERS = f"""
SELECT {COLUMNS} FROM orders o, (SELECT (now() AT TIME ZONE %(day_timezone)s)::date AS day) t, LATERAL (
     SELECT array_agg(x.trader_id) FILTER (WHERE x.rule = 'pin') AS only,
            array_agg(x.trader_id) FILTER (WHERE x.rule = 'exclude') AS never
       FROM store_traffic x WHERE x.store_id = o.store_id AND o.mode = 'live') traffic
 WHERE o.status = 'matching' AND o.direction = 'payout' AND o.mode = %(mode)s AND o.due_at > now()
   AND EXISTS (
     SELECT 1 FROM requisite r
      WHERE r.trader_id = %(trader_id)s AND r.mode = o.mode AND r.method = o.method AND r.currency = o.currency
        AND {PAYOUT_GATE} AND requisite_verdict(r, 'payout', o.amount_minor, NULL, t.day) = 'fits')
   AND traffic_refusals(%(trader_id)s, traffic.only, traffic.never) = '{{}}' AND NOT had_trader(o.id, %(trader_id)s)
 ORDER BY o.due_at, o.id LIMIT %(limit)s
"""  # noqa: S608


def list_payout_offers(trader_id: uuid.UUID, mode: Mode, limit: int = 20) -> list[OrderRecord]:
    """Payouts this trader could accept now, the most urgent first."""
    params = {
        "trader_id": trader_id, "mode": mode.value, "limit": limit, "day_timezone": config.get(config.DAY_TIMEZONE),
    }  # fmt: skip
    return [record_of(row) for row in hot(_OFFERS, params)]


_ENDED = f"""
SELECT {COLUMNS} FROM orders o
 WHERE o.trader_id = %(trader_id)s AND o.ended_at IS NOT NULL AND o.status = ANY(%(statuses)s)
   AND o.ended_at >= %(since)s
   AND (%(after)s::uuid IS NULL
        OR (o.ended_at, o.id) < (SELECT b.ended_at, b.id FROM orders b WHERE b.id = %(after)s::uuid))
 ORDER BY o.ended_at DESC, o.id DESC LIMIT %(limit)s
"""  # noqa: S608


def list_ended_for_trader(
    trader_id: uuid.UUID,
    statuses: Sequence[str],
    since: datetime,
    *,
    after: uuid.UUID | None = None,
    limit: int = 20,
) -> list[OrderRecord]:
    """Orders of this trader in the given statuses that ended since then, the last ended first.

    `after` is the id of the order after which the page starts.
    """
    params = {
        "trader_id": trader_id, "statuses": list(statuses), "since": since, "after": after, "limit": limit,
    }  # fmt: skip
    return [record_of(row) for row in hot(_ENDED, params)]


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One step of an order's life, as the timeline shows it."""

    event: str
    from_status: str | None
    to_status: str
    actor_kind: str
    actor_id: uuid.UUID | None
    reason: str | None
    at: datetime


_TIMELINE = """
SELECT event, from_status, to_status, actor_kind, actor_id, reason, at
  FROM order_event WHERE order_id = %(id)s ORDER BY id
"""


def list_steps(order_id: uuid.UUID) -> list[TimelineStep]:
    return [TimelineStep(**row) for row in hot(_TIMELINE, {"id": order_id})]
