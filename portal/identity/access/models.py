"""What single people were given or denied beyond their roles."""

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
from portal.core.permissions import Reach


class PermissionGrant(Model):
    """A permission that one person has beyond their roles, or is denied although a role has it.

    `permission` is not checked against the enumeration: one that no longer exists is ignored when it is read.
    """

    __tablename__ = "permission_grant"
    __table_args__ = (
        one_of("reach", Reach, nullable=True),
        CheckConstraint("is_denied = (reach IS NULL)", name="reach_of_a_grant"),
        CheckConstraint("granted_by <> user_id OR is_denied", name="not_to_oneself"),
        CheckConstraint("approved_by NOT IN (granted_by, user_id)", name="two_people"),
    )

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    permission: Mapped[str] = mapped_column(Text, primary_key=True)
    reach: Mapped[str | None] = mapped_column(Text)
    is_denied: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text)
    granted_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    approved_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[CreatedAt]


class FormerState(StrEnum):
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class PermissionRequest(Model):
    """What the release before asked a second person for: its rows stand in `approval_request` as well.

    It is here for programs of that release, which serve during an upgrade and after going back to them. Nothing of this
    one reads or writes it.
    """

    __tablename__ = "permission_request"
    __table_args__ = (
        one_of("state", FormerState),
        CheckConstraint("requested_by <> user_id", name="not_for_oneself"),
        CheckConstraint(
            "state NOT IN ('approved', 'refused') OR decided_by NOT IN (requested_by, user_id)",
            name="another_decides",
        ),
        CheckConstraint(
            "(state = 'waiting') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)",
            name="decision",
        ),
        CheckConstraint("octet_length(payload_hash) = 32", name="payload_hash"),
        Index(
            "uq_permission_request_waiting",
            "user_id",
            unique=True,
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_permission_request_state", "state", "id"),
    )

    id: Mapped[UuidKey]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    payload_hash: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    state: Mapped[str] = mapped_column(Text, server_default=FormerState.WAITING.value)
    decided_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
