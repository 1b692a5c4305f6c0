"""The list of people for those who run the house: searched, narrowed, sorted, by keyset."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from portal.core.db import hot
from portal.identity.models import Role


class PersonState(StrEnum):
    """What a list of people can be narrowed to. Online: something of theirs was opened in the last 5 minutes."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    ONLINE = "online"
    OFFLINE = "offline"
    NO_FACTOR = "no_factor"


class PersonSort(StrEnum):
    NAME = "name"
    EMAIL = "email"
    CREATED = "created"
    SEEN = "seen"


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A login as one line. Times are UTC. `sort_key` is the sorted value, as `list_people_rows` takes it back."""

    id: uuid.UUID
    email: str
    name: str
    roles: tuple[Role, ...]
    is_active: bool
    is_online: bool
    has_second_factor: bool
    last_seen_at: datetime | None
    created_at: datetime
    sort_key: str


@dataclass(frozen=True, slots=True)
class Narrow:
    """Which people; None does not narrow. `words` are part of a name or an email, or a whole id."""

    role: Role | None = None
    state: PersonState | None = None
    words: str | None = None
    merchant_id: uuid.UUID | None = None


_PEOPLE = """
SELECT u.id, u.email, u.name, u.is_active, u.created_at,
       ARRAY(SELECT r.role FROM user_role r WHERE r.user_id = u.id ORDER BY r.role) AS roles,
       EXISTS (SELECT 1 FROM totp_factor t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL)
         OR EXISTS (SELECT 1 FROM passkey p WHERE p.user_id = u.id AND p.set_aside_at IS NULL)
         AS has_second_factor,
       s.last_seen_at, coalesce(u.is_active AND s.online_at > now() - interval '5 minutes', false) AS is_online
  FROM users u LEFT JOIN LATERAL (
    SELECT max(s.last_seen_at) AS last_seen_at,
           max(s.last_seen_at) FILTER (WHERE s.revoked_at IS NULL AND s.expires_at > now()) AS online_at
      FROM user_session s WHERE s.user_id = u.id AND s.stage = 'open') s ON true
 WHERE (%(role)s::text IS NULL OR EXISTS (
          SELECT 1 FROM user_role r WHERE r.user_id = u.id AND r.role = %(role)s::text))
   AND (%(merchant)s::uuid IS NULL OR EXISTS (
          SELECT 1 FROM merchant_member m WHERE m.user_id = u.id AND m.merchant_id = %(merchant)s::uuid))
   AND (%(like)s::text IS NULL OR u.email LIKE %(like)s::text OR lower(u.name) LIKE %(like)s::text
        OR u.id::text = %(words)s::text)
"""
_IN_STATE = """(%(state)s::text IS NULL OR CASE %(state)s::text
   WHEN 'active' THEN p.is_active WHEN 'blocked' THEN NOT p.is_active
   WHEN 'online' THEN p.is_online WHEN 'offline' THEN p.is_active AND NOT p.is_online
   WHEN 'no_factor' THEN p.is_active AND NOT p.has_second_factor END)"""
_KEYS = {
    PersonSort.NAME: ("lower(p.name)", "text"),
    PersonSort.EMAIL: ("p.email", "text"),
    PersonSort.CREATED: ("p.created_at", "timestamptz"),
    PersonSort.SEEN: ("coalesce(p.last_seen_at, '-infinity')", "timestamptz"),
}
_COUNTS = f"""
SELECT count(*) AS all, count(*) FILTER (WHERE p.is_active) AS active,
       count(*) FILTER (WHERE NOT p.is_active) AS blocked, count(*) FILTER (WHERE p.is_online) AS online,
       count(*) FILTER (WHERE p.is_active AND NOT p.is_online) AS offline,
       count(*) FILTER (WHERE p.is_active AND NOT p.has_second_factor) AS no_factor
  FROM ({_PEOPLE}) p
"""  # noqa: S608 - constant texts


def list_people_rows(
    narrow: Narrow,
    sort: PersonSort,
    *,
    is_descending: bool,
    after: tuple[str, uuid.UUID] | None = None,
    limit: int,
) -> list[PersonRow]:
    """People in this order, those behind `after` (the sorted value as text, and the id) if it is given."""
    key, kind = _KEYS[sort]
    way, beyond = ("DESC", "<") if is_descending else ("ASC", ">")
    sql = (
        f"SELECT p.*, ({key})::text AS sort_key FROM ({_PEOPLE}) p WHERE {_IN_STATE}"  # noqa: S608 - constant texts
        f" AND (%(after_id)s::uuid IS NULL OR ({key}, p.id) {beyond} (%(after)s::{kind}, %(after_id)s::uuid))"
        f" ORDER BY {key} {way}, p.id {way} LIMIT %(limit)s"
    )
    values = _values(narrow) | {
        "state": narrow.state.value if narrow.state else None, "limit": limit,
        "after": after[0] if after else None, "after_id": after[1] if after else None,
    }  # fmt: skip
    return [_row(row) for row in hot(sql, values)]


def count_people(narrow: Narrow) -> Mapping[str, int]:
    """How many there are in each state and in all, by the state's name and "all"; `narrow.state` is not looked at."""
    return hot(_COUNTS, _values(narrow))[0]


def _values(narrow: Narrow) -> dict[str, Any]:
    words = (narrow.words or "").strip().lower()
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {
        "role": narrow.role.value if narrow.role else None, "merchant": narrow.merchant_id,
        "words": words or None, "like": f"%{escaped}%" if words else None,
    }  # fmt: skip


def _row(row: dict[str, Any]) -> PersonRow:
    return PersonRow(**row | {"roles": tuple(Role(name) for name in row["roles"])})
