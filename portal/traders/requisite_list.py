"""Requisites as lines for those who run the house and for leads: narrowed, sorted, by keyset, in one statement."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portal.core.db.keyset import Key, Listed, Page, State, words_like


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
class RequisiteFilter:
    """Which requisites; None does not narrow. `words` are part of the trader's name, or the last four digits."""

    state: RequisiteState | None = None
    method: str | None = None
    bank: str | None = None
    used: Used | None = None
    words: str | None = None
    lead_id: uuid.UUID | None = None


_USED = """greatest(b.open_orders * 1000 / b.max_open_orders,
         requisite_day_amount(b, (now() AT TIME ZONE %(zone)s)::date) * 1000 / b.day_amount_limit,
         requisite_day_count(b, (now() AT TIME ZONE %(zone)s)::date) * 1000 / b.day_count_limit,
         b.window_amount * 1000 / b.window_amount_limit,
         b.total_amount * 1000 / b.total_amount_limit)::bigint"""
_LIST = Listed(
    table="requisite",
    lines=f"""
SELECT b.id, b.trader_id, t.name AS trader, m.name AS team, b.mode, b.method, b.currency, b.bank, b.number_masked,
       b.status, b.can_take_payin AS is_online, b.payin_on, b.payout_on, b.min_amount, b.max_amount, b.open_orders,
       b.max_open_orders, b.created_at, {_USED} AS used, picked.sort_value::text AS sort_key
  FROM picked JOIN requisite b ON b.id = picked.id JOIN trader t ON t.id = b.trader_id
  LEFT JOIN team m ON m.id = t.team_id""",  # noqa: S608 - constants
    sorts={
        RequisiteSort.CREATED: Key("b.id", "uuid"),
        RequisiteSort.TRADER: Key("lower(t.name)", "text", "JOIN trader t ON t.id = b.trader_id"),
        RequisiteSort.USED: Key(_USED, "bigint"),
    },
    states={
        state: State("b.can_take_payin" if state is RequisiteState.ONLINE else f"b.status = '{state.value}'")
        for state in RequisiteState
    },
    found="""SELECT r.id FROM trader x JOIN requisite r ON r.trader_id = x.id WHERE lower(x.name) LIKE %(like)s
       UNION SELECT r.id FROM requisite r WHERE r.number_last4 = %(words)s""",
)
_LEAST = {Used.NEARLY: 800, Used.UP: 1000}
_OF_LEAD = "b.trader_id IN (SELECT x.id FROM team m JOIN trader x ON x.team_id = m.id WHERE m.lead_id = %(lead)s::uuid)"


def list_requisite_lines(
    narrow: RequisiteFilter,
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
    page = Page(sort.value, is_descending, after, limit, narrow.state.value if narrow.state else None)
    words = (narrow.words or "").strip().lower()
    values = {
        "lead": narrow.lead_id, "method": narrow.method, "bank": narrow.bank, "zone": day_timezone,
        "words": words, "like": words_like(words), "least": _LEAST[narrow.used] if narrow.used else None,
    }  # fmt: skip
    rows = _LIST.page(page, values, also=_conditions(narrow))
    return [RequisiteLine(**row) for row in rows]


def _conditions(narrow: RequisiteFilter) -> list[str]:
    asked = {
        "b.status <> 'archived'": narrow.state is None,
        _OF_LEAD: narrow.lead_id is not None,
        "b.method = %(method)s": narrow.method is not None,
        "b.bank = %(bank)s": narrow.bank is not None,
        f"{_USED} >= %(least)s": narrow.used is not None,
    }
    return [condition for condition, is_asked in asked.items() if is_asked]
