"""Merchants as lines for those who run the house."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from portal.core.db.keyset import Key, Listed, Page, State, words_like
from portal.core.modes import Mode

ONLINE_S = 900


@dataclass(frozen=True, slots=True)
class MerchantLine:
    """A merchant as one line. Online: a live key of theirs was used in the last ONLINE_S. Times are UTC."""

    id: uuid.UUID
    name: str
    is_active: bool
    is_online: bool
    store_ids: list[uuid.UUID]
    members: int
    last_used_at: datetime | None
    created_at: datetime
    owners: list[uuid.UUID]
    sort_key: str = ""


_LINES = """
SELECT m.id, m.name, m.is_active, m.created_at, w.ids AS owners, w.ids AS store_ids,
       m.members, k.last_used_at, picked.sort_value::text AS sort_key,
       coalesce(m.is_active AND k.last_used_at > now() - make_interval(secs => %(online_s)s), false) AS is_online
  FROM picked JOIN merchant m ON m.id = picked.id
  CROSS JOIN LATERAL (SELECT ARRAY(SELECT s.id FROM store s WHERE s.merchant_id = m.id ORDER BY s.id) AS ids) w
  LEFT JOIN LATERAL (
    SELECT max(k.last_used_at) AS last_used_at FROM store s JOIN api_key k ON k.store_id = s.id
     WHERE s.merchant_id = m.id AND k.mode = %(mode)s) k ON true
"""
_CALLING = """SELECT s.merchant_id FROM api_key k JOIN store s ON s.id = k.store_id
       WHERE k.mode = %(mode)s AND k.last_used_at > now() - make_interval(secs => %(online_s)s)"""
_LIST = Listed(
    table="merchant",
    lines=_LINES,
    sorts={
        "name": Key("lower(b.name)", "text"),
        "created": Key("b.created_at", "timestamptz"),
        "members": Key("b.members", "bigint"),
        "stores": Key("b.stores", "bigint"),
    },
    states={
        "active": State("b.is_active"),
        "blocked": State("NOT b.is_active"),
        "online": State(f"b.is_active AND b.id IN ({_CALLING})"),
        "offline": State(f"b.is_active AND b.id NOT IN ({_CALLING})"),
    },
    found="""SELECT m.id FROM merchant m WHERE lower(m.name) LIKE %(like)s
       UNION SELECT s.merchant_id FROM store s WHERE lower(s.name) LIKE %(like)s""",
    owned="""SELECT s.merchant_id AS id, sum(k.value)::bigint AS value FROM ranking k
       JOIN store s ON s.id = k.id GROUP BY s.merchant_id""",
)


def find_merchant_line(merchant_id: uuid.UUID) -> MerchantLine | None:
    values = {**_values(None), "id": merchant_id}
    rows = _LIST.page(Page("created"), values, also=["b.id = %(id)s::uuid"])
    return MerchantLine(**rows[0]) if rows else None


def page_of_merchants(words: str | None, page: Page) -> tuple[list[MerchantLine], dict[str, int]]:
    """A page of the merchants, and how many are in each state, up to COUNTED_TO + 1; with `words` those whose name,
    or a store's, has them.
    """
    rows, counts = _LIST.page_and_counts(page, _values(words))
    return [MerchantLine(**row) for row in rows], counts


def _values(words: str | None) -> dict[str, object]:
    return {"mode": Mode.LIVE.value, "like": words_like(words), "online_s": float(ONLINE_S)}
