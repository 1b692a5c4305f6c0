"""Reading the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core.db import db


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries; None means any. `action` may end in a dot: all of that noun. Times are UTC."""

    actor_id: uuid.UUID | None = None
    subject: tuple[str, str] | None = None
    action: str | None = None
    since: datetime | None = None
    before_id: int | None = None


def list_entries(filters: Filters, limit: int = 50) -> Sequence[AuditEntry]:
    """What was done, the newest first; `before_id` continues a page."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if filters.actor_id is not None:
        query = query.where(AuditEntry.actor_id == filters.actor_id)
    if filters.subject is not None:
        kind, subject_id = filters.subject
        query = query.where(AuditEntry.subject_kind == kind, AuditEntry.subject_id == subject_id)
    if filters.action is not None and filters.action.endswith("."):
        query = query.where(AuditEntry.action.startswith(filters.action, autoescape=True))
    elif filters.action is not None:
        query = query.where(AuditEntry.action == filters.action)
    if filters.since is not None:
        query = query.where(AuditEntry.at >= filters.since)
    if filters.before_id is not None:
        query = query.where(AuditEntry.id < filters.before_id)
    return db.session.scalars(query).all()


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
