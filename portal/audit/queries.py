"""Reading the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select

from portal.audit.models import AuditEntry, AuditSeal, AuditUnsealed
from portal.core.db import db
from portal.core.errors import NotFound

# Ids are given out as entries are written, times as their transactions go: neither is further apart than this.
_ASKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; None means any. `action` may end in a dot: all of that noun. Times are UTC.

    `subject` is a kind and an id, either of them perhaps empty. `at_from` counts, `at_to` does not.
    """

    actor_id: uuid.UUID | None = None
    subject: tuple[str, str] | None = None
    action: str | None = None
    at_from: datetime | None = None
    at_to: datetime | None = None
    actor_ids: Collection[uuid.UUID] | None = None


def list_entries(
    narrow: AuditFilter, limit: int = 50, *, after: int | None = None, is_descending: bool = True
) -> Sequence[AuditEntry]:
    """What was done, the newest first unless told otherwise, behind `after`: the id of the last one of a page."""
    order = AuditEntry.id.desc() if is_descending else AuditEntry.id
    query: Select[Any] = select(AuditEntry).order_by(order).limit(limit)
    if narrow.actor_id is not None:
        query = query.where(AuditEntry.actor_id == narrow.actor_id)
    if narrow.actor_ids is not None:
        query = query.where(AuditEntry.actor_id.in_(narrow.actor_ids))
    if narrow.subject is not None:
        kind, subject_id = narrow.subject
        query = query.where(AuditEntry.subject_kind == kind) if kind else query
        query = query.where(AuditEntry.subject_id == subject_id) if subject_id else query
    if narrow.action is not None and narrow.action.endswith("."):
        query = query.where(AuditEntry.action.startswith(narrow.action, autoescape=True))
    elif narrow.action is not None:
        query = query.where(AuditEntry.action == narrow.action)
    query = _within(query, narrow)
    if after is not None:
        query = query.where(AuditEntry.id < after if is_descending else AuditEntry.id > after)
    return db.session.scalars(query).all()


def _within(query: Select[Any], narrow: AuditFilter) -> Select[Any]:
    """The period, also as a range of ids: a day long ago is found without reading what came after it."""
    if narrow.at_from is not None:
        earlier = select(AuditEntry.id).where(AuditEntry.at < narrow.at_from - _ASKEW)
        first = earlier.order_by(AuditEntry.at.desc()).limit(1).scalar_subquery()
        query = query.where(AuditEntry.at >= narrow.at_from, AuditEntry.id >= db.func.coalesce(first, 0))
    if narrow.at_to is not None:
        later = select(AuditEntry.id).where(AuditEntry.at >= narrow.at_to + _ASKEW)
        last = later.order_by(AuditEntry.at).limit(1).scalar_subquery()
        query = query.where(AuditEntry.at < narrow.at_to, AuditEntry.id <= db.func.coalesce(last, 2**62))
    return query


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """An entry with its link of the chain; None while it waits for the sealer."""

    entry: AuditEntry
    seal: AuditSeal | None


def get_entry(entry_id: int) -> SealedEntry:
    """One entry. Raises NotFound."""
    query = (
        select(AuditEntry, AuditSeal)
        .join(AuditSeal, AuditSeal.entry_id == AuditEntry.id, isouter=True)
        .where(AuditEntry.id == entry_id)
    )
    found = db.session.execute(query).first()
    if found is None:
        raise NotFound("There is no such entry.")
    return SealedEntry(found[0], found[1])


def count_unsealed() -> int:
    """How many entries wait for the sealer."""
    return db.session.scalar(select(db.func.count()).select_from(AuditUnsealed)) or 0


# The newest entries about one subject, as JSON: for a statement that reads them beside other things.
LINES_OF_SUBJECT = """
SELECT jsonb_agg(to_jsonb(l) ORDER BY l.id DESC) FROM (
  SELECT id, at, actor_kind, actor_id, action, before, after, reason FROM audit_entry
   WHERE subject_kind = %(subject_kind)s AND subject_id = %(subject_id)s::uuid::text ORDER BY id DESC LIMIT 50) l
"""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """What was done to one thing, by whom and why; the fields that changed are masked."""

    id: int
    at: datetime
    actor_kind: str
    actor_id: uuid.UUID | None
    action: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    reason: str | None


def lines_from(rows: Sequence[Mapping[str, Any]] | None) -> tuple[AuditLine, ...]:
    """What LINES_OF_SUBJECT gave."""
    return tuple(
        AuditLine(
            row["id"], datetime.fromisoformat(row["at"]), row["actor_kind"],
            uuid.UUID(row["actor_id"]) if row["actor_id"] else None, row["action"],
            row["before"] or {}, row["after"] or {}, row["reason"],
        )
        for row in rows or ()
    )  # fmt: skip
