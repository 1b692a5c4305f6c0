"""Requisites as lines for those who run the house and for leads: narrowed, sorted, by keyset, in one statement."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portal.core.db import hot


class RequisiteState(StrEnum):
    """What a list can be narrowed to. Online: can take a payin now."""

    PENDING = "pending"
    APPROVED = "approved"
    ONLINE = "online"
    SUSPENDED = "suspended"
    REJECTED = "rejected"
    ARCHIVED = "archived"


class Used(StrEnum):
    """How much of the limit that is fullest is used: four fifths of it and more, or all of it."""

    NEARLY = "nearly"
    UP = "up"


class RequisiteSort(StrEnum):
    CREATED = "created"
    TRADER = "trader"
    USED = "used"


@dataclass(frozen=True, slots=True)
class RequisiteLine:
    """A requisite as one line. Amounts are minor units of `currency`, times UTC.

    `used` is the share of the fullest limit that is used, in thousandths; `sort_key` is the sorted value, as
    `list_requisite_lines` takes it back.
    """

    id: uuid.UUID
    trader_id: uuid.UUID
    trader: str
    team: str | None
    mode: str
    method: str
    currency: str
    bank: str | None
    number_masked: str
    status: str
    is_online: bool
    payin_on: bool
    payout_on: bool
    min_amount: int
    max_amount: int
    open_orders: int
    max_open_orders: int
    used: int
    created_at: datetime
    sort_key: str


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Which requisites; None does not narrow. `words` are part of the trader's name, or the last four digits."""

    state: RequisiteState | None = None
    method: str | None = None
    bank: str | None = None
    used: Used | None = None
    words: str | None = None
    lead_id: uuid.UUID | None = None


_KEYS = {
    RequisiteSort.CREATED: ("p.id", "uuid"),
    RequisiteSort.TRADER: ("lower(p.trader)", "text"),
    RequisiteSort.USED: ("p.used", "bigint"),
}
# The counters of a day count on that day alone.
_LINES = """
SELECT r.id, r.trader_id, t.name AS trader, m.name AS team, r.mode, r.method, r.currency, r.bank, r.number_masked,
       r.status, r.can_take_payin AS is_online, r.payin_on, r.payout_on, r.min_amount, r.max_amount, r.open_orders,
       r.max_open_orders, r.created_at,
       greatest(r.open_orders * 1000 / r.max_open_orders,
                CASE WHEN r.day = d.day THEN greatest(r.day_amount * 1000 / r.day_amount_limit,
                                                      r.day_count * 1000 / r.day_count_limit) END,
                r.window_amount * 1000 / r.window_amount_limit,
                r.total_amount * 1000 / r.total_amount_limit)::bigint AS used
  FROM requisite r JOIN trader t ON t.id = r.trader_id LEFT JOIN team m ON m.id = t.team_id,
       (SELECT (now() AT TIME ZONE %(zone)s)::date AS day) d
 WHERE (%(lead)s::uuid IS NULL OR m.lead_id = %(lead)s::uuid)
   AND CASE %(state)s::text WHEN 'online' THEN r.can_take_payin ELSE r.status = coalesce(%(state)s::text, r.status) END
   AND (%(state)s::text IS NOT NULL OR r.status <> 'archived')
   AND (%(method)s::text IS NULL OR r.method = %(method)s::text)
   AND (%(bank)s::text IS NULL OR r.bank = %(bank)s::text)
   AND (%(like)s::text IS NULL OR lower(t.name) LIKE %(like)s::text OR r.number_last4 = %(words)s::text)
"""


def list_requisite_lines(
    narrow: Narrowed,
    sort: RequisiteSort,
    *,
    day_timezone: str,
    is_descending: bool,
    after: tuple[str, uuid.UUID] | None = None,
    limit: int,
) -> list[RequisiteLine]:
    """Requisites in this order, those behind `after` (the sorted value as text, and the id) if it is given.

    Archived ones only when they are asked for. `day_timezone` is the zone in which a day of limits begins.
    """
    key, kind = _KEYS[sort]
    way, beyond = ("DESC", "<") if is_descending else ("ASC", ">")
    sql = (
        f"SELECT p.*, ({key})::text AS sort_key FROM ({_LINES}) p"  # noqa: S608 - constant texts
        f" WHERE (%(after_id)s::uuid IS NULL OR ({key}, p.id) {beyond} (%(after)s::{kind}, %(after_id)s::uuid))"
        f" AND p.used >= %(least_used)s ORDER BY {key} {way}, p.id {way} LIMIT %(limit)s"
    )
    words = (narrow.words or "").strip().lower()
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    values = {
        "lead": narrow.lead_id, "state": narrow.state.value if narrow.state else None, "method": narrow.method,
        "bank": narrow.bank, "words": words or None, "like": f"%{escaped}%" if words else None,
        "zone": day_timezone, "limit": limit, "least_used": _LEAST[narrow.used],
        "after": after[0] if after else None, "after_id": after[1] if after else None,
    }  # fmt: skip
    return [RequisiteLine(**row) for row in hot(sql, values)]


_LEAST = {None: 0, Used.NEARLY: 800, Used.UP: 1000}
