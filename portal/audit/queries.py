"""Reading the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

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
