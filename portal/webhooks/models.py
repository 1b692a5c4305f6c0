"""Where a store wants to be told, and what became of the telling."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ARRAY,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import BigKey, CreatedAt, Moment, UuidKey, one_of
from portal.core.modes import Mode


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class WebhookEndpoint(Model):
    """A store's endpoint. Its secret is encrypted; during a rotation the former one signs too."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        one_of("mode", Mode),
        Index(
            "uq_webhook_endpoint_store_mode",
            "store_id",
            "mode",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[UuidKey]
    store_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("store.id"))
    mode: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    event_types: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    secret_encrypted: Mapped[bytes] = mapped_column(LargeBinary)
    former_secret_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    former_secret_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # When its owner showed that they want what is sent to this address, or the operator vouched for it.
    verified_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class WebhookProbe(Model):
    """A call that somebody asked us to make: a test, or a challenge. Counted by store and by host, kept for a day."""

    __tablename__ = "webhook_probe"
    __table_args__ = (
        Index("ix_webhook_probe_host", "host", "at"),
        Index("ix_webhook_probe_store", "store_id", "at"),
    )

    id: Mapped[BigKey]
    store_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True))
    host: Mapped[str] = mapped_column(Text)
    at: Mapped[CreatedAt]


class WebhookDelivery(Model):
    """One event for one endpoint, until it is delivered or given up.

    `dismissed_at`: it is dead and calls for nobody, since somebody said so or the endpoint was deleted.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        one_of("state", DeliveryState),
        UniqueConstraint("endpoint_id", "event_id", name="uq_webhook_delivery_endpoint_event"),
        Index(
            "ix_webhook_delivery_endpoint_next_at",
            "endpoint_id",
            "next_at",
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_webhook_delivery_event_id", "event_id"),
        Index("ix_webhook_delivery_dead", "done_at", postgresql_where=text("state = 'dead'")),
        {
            "postgresql_with": {
                "fillfactor": "80",
                "autovacuum_vacuum_scale_factor": "0.02",
                "autovacuum_vacuum_threshold": "1000",
            }
        },
    )

    id: Mapped[UuidKey]
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_endpoint.id"))
    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("event.id"))
    state: Mapped[str] = mapped_column(Text, server_default=DeliveryState.PENDING.value)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    next_at: Mapped[Moment] = mapped_column(DateTime(timezone=True), server_default=text("clock_timestamp()"))
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    lease_token: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    created_at: Mapped[CreatedAt]
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    dismissed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class WebhookAttempt(Model):
    """One request that was sent (or refused by the guard), kept for the merchant to see."""

    __tablename__ = "webhook_attempt"
    __table_args__ = (Index("ix_webhook_attempt_delivery_id", "delivery_id", "id"),)

    id: Mapped[BigKey]
    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_delivery.id"))
    at: Mapped[CreatedAt]
    status_code: Mapped[int | None] = mapped_column(SmallInteger)
    latency_ms: Mapped[int] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
