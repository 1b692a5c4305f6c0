"""The outbox."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Index, Integer, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import CreatedAt, Moment, UuidKey, one_of
from portal.core.modes import Mode


class EventState(StrEnum):
    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


class Event(Model):
    """Something that happened, written in the transaction in which it happened.

    `data` is the object as the API gives it to whoever only reads: numbers are masked. `id` is the webhook's id on
    every attempt. `version` is the object's after the change; `sequence` counts the events of that change, 0 first.
    """

    __tablename__ = "event"
    __table_args__ = (
        one_of("state", EventState),
        one_of("mode", Mode),
        Index("ix_event_next_at", "next_at", postgresql_where=text("state = 'pending'")),
        Index("ix_event_dead", "done_at", postgresql_where=text("state = 'dead'")),
        Index("ix_event_store", "store_id", "mode", "id"),
        {
            "postgresql_with": {
                "fillfactor": "80",
                "autovacuum_vacuum_scale_factor": "0.02",
                "autovacuum_vacuum_threshold": "1000",
            }
        },
    )

    id: Mapped[UuidKey]
    type: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    store_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True))
    trader_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    subject_kind: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True))
    version: Mapped[int] = mapped_column(Integer)
    sequence: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    requisite_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]
    state: Mapped[str] = mapped_column(Text, server_default=EventState.PENDING.value)
    next_at: Mapped[Moment] = mapped_column(DateTime(timezone=True), server_default=text("clock_timestamp()"))
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    lease_token: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    last_error: Mapped[str | None] = mapped_column(Text)
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    dismissed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
