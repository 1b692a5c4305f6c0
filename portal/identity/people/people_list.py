"""The list of people for those who run the house: searched, narrowed, sorted, by keyset."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from portal.core.db.keyset import Key, Listed, Page, State, words_like
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
class PeopleFilter:
    """Which people; None does not narrow. `words` are part of a name or an email, or a whole id."""

    role: Role | None = None
    state: PersonState | None = None
    words: str | None = None
    merchant_id: uuid.UUID | None = None


_IS_SEEN = "b.is_active AND coalesce(b.last_seen_at, '-infinity') > now() - interval '5 minutes'"
_IS_HERE = """EXISTS (
    SELECT 1 FROM user_session s WHERE s.user_id = {who}.id AND s.stage = 'open' AND s.revoked_at IS NULL
       AND s.expires_at > now() AND s.last_seen_at > now() - interval '5 minutes')"""
_IS_ONLINE = f"{_IS_SEEN} AND {_IS_HERE.format(who='b')}"
_LINES = f"""
SELECT u.id, u.email, u.name, u.is_active, u.created_at, u.last_seen_at, u.has_second_factor,
       ARRAY(SELECT r.role FROM user_role r WHERE r.user_id = u.id ORDER BY r.role) AS roles,
       u.is_active AND {_IS_HERE.format(who="u")} AS is_online, picked.sort_value::text AS sort_key
  FROM picked JOIN users u ON u.id = picked.id
"""  # noqa: S608 - constant texts
_LIST = Listed(
    table="users",
    lines=_LINES,
    sorts={
        PersonSort.NAME: Key("lower(b.name)", "text"),
        PersonSort.EMAIL: Key("b.email", "text"),
        PersonSort.CREATED: Key("b.created_at", "timestamptz"),
        PersonSort.SEEN: Key("coalesce(b.last_seen_at, '-infinity')", "timestamptz"),
    },
    states={
        PersonState.ACTIVE: State("b.is_active"),
        PersonState.BLOCKED: State("NOT b.is_active"),
        PersonState.ONLINE: State(_IS_ONLINE),
        PersonState.OFFLINE: State(f"b.is_active AND NOT ({_IS_ONLINE})"),
        PersonState.NO_FACTOR: State("b.is_active AND NOT b.has_second_factor"),
    },
    found="SELECT u.id FROM users u WHERE lower(u.name) LIKE %(like)s OR u.email LIKE %(like)s",
)


def list_people_rows(
    narrow: PeopleFilter,
    sort: PersonSort,
    *,
    is_descending: bool,
    after: tuple[str, uuid.UUID] | None = None,
    limit: int,
) -> list[PersonRow]:
    """People in this order, those behind `after` (the sorted value as text, and the id) if it is given."""
    page = Page(sort.value, is_descending, after, limit, narrow.state.value if narrow.state else None)
    return [_row(row) for row in _LIST.page(page, _values(narrow), also=_conditions(narrow))]


def count_people(narrow: PeopleFilter) -> Mapping[str, int]:
    """How many there are in each state by the state's name, up to COUNTED_TO + 1; `narrow.state` is not looked at."""
    return _LIST.counts(_values(narrow), also=_conditions(narrow))


def _conditions(narrow: PeopleFilter) -> list[str]:
    """The role stands in the text: how many have it decides where the search begins."""
    conditions = []
    if narrow.role is not None:
        role = f"r.role = '{narrow.role.value}'"
        conditions.append(f"EXISTS (SELECT 1 FROM user_role r WHERE r.user_id = b.id AND {role})")  # noqa: S608 - an enum
    if narrow.merchant_id is not None:
        conditions.append(
            "b.id IN (SELECT m.user_id FROM merchant_member m WHERE m.merchant_id = %(merchant)s::uuid)"
        )
    if _uuid((narrow.words or "").strip()) is not None:
        conditions.append("b.id = %(person)s::uuid")
    return conditions


def _values(narrow: PeopleFilter) -> dict[str, Any]:
    person_id = _uuid((narrow.words or "").strip())
    like = words_like(narrow.words) if person_id is None else None
    return {"merchant": narrow.merchant_id, "like": like, "person": person_id}


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _row(row: dict[str, Any]) -> PersonRow:
    return PersonRow(**row | {"roles": tuple(Role(name) for name in row["roles"])})
