"""Merchants as lines for those who run the house."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from portal.core.keyset import Listed, Page
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


_MERCHANTS = """
SELECT m.id, m.name, m.is_active, m.created_at,
       ARRAY(SELECT s.id FROM store s WHERE s.merchant_id = m.id) AS owners,
       ARRAY(SELECT s.id FROM store s WHERE s.merchant_id = m.id ORDER BY s.id) AS store_ids,
       (SELECT count(*) FROM merchant_member x WHERE x.merchant_id = m.id) AS members,
       k.last_used_at,
       coalesce(m.is_active AND k.last_used_at > now() - make_interval(secs => %(online_s)s), false) AS is_online
  FROM merchant m LEFT JOIN LATERAL (
    SELECT max(k.last_used_at) AS last_used_at FROM store s JOIN api_key k ON k.store_id = s.id
     WHERE s.merchant_id = m.id AND k.mode = %(mode)s) k ON true
 WHERE (%(like)s::text IS NULL OR lower(m.name) LIKE %(like)s::text OR EXISTS (
          SELECT 1 FROM store s WHERE s.merchant_id = m.id AND lower(s.name) LIKE %(like)s::text))
   AND (%(id)s::uuid IS NULL OR m.id = %(id)s::uuid)
"""


_LIST = Listed(
    _MERCHANTS,
    {
        "name": ("lower(p.name)", "text"), "created": ("p.created_at", "timestamptz"),
        "members": ("p.members", "bigint"), "stores": ("cardinality(p.store_ids)", "bigint"),
    },
    {
        "active": "p.is_active", "blocked": "NOT p.is_active", "online": "p.is_online",
        "offline": "p.is_active AND NOT p.is_online",
    },
)  # fmt: skip


def find_merchant_line(merchant_id: uuid.UUID) -> MerchantLine | None:
    rows, _counts = _LIST.page(Page("created"), _values(None, merchant_id))
    return MerchantLine(**rows[0]) if rows else None


def page_of_merchants(words: str | None, page: Page) -> tuple[list[MerchantLine], dict[str, int]]:
    """A page of the merchants, and how many are in each state; with `words` those whose name, or a store's, has
    them.
    """
    rows, counts = _LIST.page(page, _values(words, None))
    return [MerchantLine(**row) for row in rows], counts


def _values(words: str | None, merchant_id: uuid.UUID | None) -> dict[str, object]:
    text = (words or "").strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {
        "mode": Mode.LIVE.value, "like": f"%{text}%" if text else None, "id": merchant_id,
        "online_s": float(ONLINE_S),
    }  # fmt: skip
