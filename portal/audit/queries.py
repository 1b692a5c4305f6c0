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
class Filters:
    """Which entries; None means any. `action` may end in a dot: all of that noun. Times are UTC.

    `subject` is a kind and an id, either of them perhaps empty. `since` counts, `until` does not.
    """

    actor_id: uuid.UUID | None = None
    subject: tuple[str, str] | None = None
    action: str | None = None
    since: datetime | None = None
    before_id: int | None = None
    until: datetime | None = None
    actor_ids: Collection[uuid.UUID] | None = None
    after_id: int | None = None


def list_entries(filters: Filters, limit: int = 50, *, is_descending: bool = True) -> Sequence[AuditEntry]:
    """What was done, the newest first unless told otherwise; `before_id` (or `after_id`) continues a page."""
    order = AuditEntry.id.desc() if is_descending else AuditEntry.id
    query: Select[Any] = select(AuditEntry).order_by(order).limit(limit)
    if filters.actor_id is not None:
        query = query.where(AuditEntry.actor_id == filters.actor_id)
    if filters.actor_ids is not None:
        query = query.where(AuditEntry.actor_id.in_(filters.actor_ids))
    if filters.subject is not None:
        kind, subject_id = filters.subject
        query = query.where(AuditEntry.subject_kind == kind) if kind else query
        query = query.where(AuditEntry.subject_id == subject_id) if subject_id else query
    if filters.action is not None and filters.action.endswith("."):
        query = query.where(AuditEntry.action.startswith(filters.action, autoescape=True))
    elif filters.action is not None:
        query = query.where(AuditEntry.action == filters.action)
    query = _within(query, filters)
    return db.session.scalars(query).all()


def _within(query: Select[Any], filters: Filters) -> Select[Any]:
    """The period, also as a range of ids: a day long ago is found without reading what came after it."""
    if filters.since is not None:
        earlier = select(AuditEntry.id).where(AuditEntry.at < filters.since - _ASKEW)
        first = earlier.order_by(AuditEntry.at.desc()).limit(1).scalar_subquery()
        query = query.where(AuditEntry.at >= filters.since, AuditEntry.id >= db.func.coalesce(first, 0))
    if filters.until is not None:
        later = select(AuditEntry.id).where(AuditEntry.at >= filters.until + _ASKEW)
        last = later.order_by(AuditEntry.at).limit(1).scalar_subquery()
        query = query.where(AuditEntry.at < filters.until, AuditEntry.id <= db.func.coalesce(last, 2**62))
    if filters.before_id is not None:
        query = query.where(AuditEntry.id < filters.before_id)
    if filters.after_id is not None:
        query = query.where(AuditEntry.id > filters.after_id)
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
