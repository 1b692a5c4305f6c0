"""What waits for a second person, and what became of it."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import CreatedAt, Moment, UuidKey, one_of


class ApprovalState(StrEnum):
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    STALE = "stale"  # what it is about has moved since: it has to be proposed again


class ApprovalRequest(Model):
    """One thing that somebody proposed, word for word: `payload` as its kind (portal.approvals.kinds) reads it.

    `payload_hash` is of the payload and whose thing it is; `mac` says with a key from outside the database that the
    house wrote the row. Triggers keep everything but the end as it was proposed, and the end as it came.
    """

    __tablename__ = "approval_request"
    __table_args__ = (
        one_of("state", ApprovalState),
        CheckConstraint("decided_by <> proposed_by", name="another_decides"),
        CheckConstraint(
            "subject_kind <> 'user' OR subject_id NOT IN (proposed_by::text, coalesce(decided_by::text, ''))",
            name="not_about_oneself",
        ),
        CheckConstraint("(state IN ('approved', 'refused')) = (decided_by IS NOT NULL)", name="decided"),
        CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name="ended"),
        CheckConstraint("state <> 'approved' OR ended_at <= expires_at", name="in_time"),
        CheckConstraint("octet_length(payload_hash) = 32 AND octet_length(mac) = 32", name="hashes"),
        CheckConstraint("reason <> ''", name="reason"),
        Index(
            "uq_approval_request_waiting",
            "kind",
            "subject_kind",
            "subject_id",
            unique=True,
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_approval_request_state", "state", "id"),
        Index("ix_approval_request_subject", "subject_kind", "subject_id"),
    )

    id: Mapped[UuidKey]
    kind: Mapped[str] = mapped_column(Text)
    subject_kind: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[str] = mapped_column(Text)
    # How the subject stood when it was proposed.
    subject_version: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    payload_hash: Mapped[bytes] = mapped_column(LargeBinary)
    mac: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[str] = mapped_column(Text)
    proposed_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    state: Mapped[str] = mapped_column(Text, server_default=ApprovalState.WAITING.value)
    decided_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    decision_reason: Mapped[str | None] = mapped_column(Text)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
