"""Rules over facts, lists of people to block or allow, and every decision that was made."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, Index, Integer, SmallInteger, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.actors import ActorKind
from portal.core.db import Model
from portal.core.db.columns import CreatedAt, Moment, UuidKey, one_of
from portal.core.modes import Mode


class RiskAction(StrEnum):
    ALLOW = "allow"
    REVIEW = "review"
    DENY = "deny"


class RuleMode(StrEnum):
    """`shadow` rules are judged and recorded but change nothing."""

    OFF = "off"
    SHADOW = "shadow"
    ON = "on"


class ListName(StrEnum):
    BLOCK = "block"
    ALLOW = "allow"


class ListKind(StrEnum):
    CUSTOMER = "customer"
    IP = "ip"
    NETWORK = "network"
    REQUISITE_NUMBER = "requisite_number"
    EMAIL_DOMAIN = "email_domain"


class RiskRule(Model):
    """When all `conditions` hold, `action`. `version` grows with every change."""

    __tablename__ = "risk_rule"
    __table_args__ = (
        one_of("action", RiskAction),
        one_of("mode", RuleMode),
        one_of("actor_kind", ActorKind),
        CheckConstraint("priority BETWEEN 1 AND 1000", name="priority"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint(
            "jsonb_typeof(conditions) = 'array' AND jsonb_array_length(conditions) > 0", name="conditions"
        ),
    )

    id: Mapped[UuidKey]
    name: Mapped[str] = mapped_column(Text, unique=True)
    conditions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    action: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text, server_default=RuleMode.OFF.value)
    priority: Mapped[int] = mapped_column(SmallInteger, server_default="100")
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[Moment] = mapped_column(server_default=func.now())


class RiskListEntry(Model):
    """Somebody to refuse or to wave through. A requisite number is kept as its blind index in hex."""

    __tablename__ = "risk_list_entry"
    __table_args__ = (
        one_of("list", ListName),
        one_of("kind", ListKind),
        one_of("actor_kind", ActorKind),
        Index("uq_risk_list_entry_list_kind_value", "list", "kind", "value", unique=True),
    )

    id: Mapped[UuidKey]
    list: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    created_at: Mapped[CreatedAt]


class RiskDecision(Model):
    """What was decided about one order, by which rules and on which facts. Append-only.

    `fired` holds the rules (with version, conditions and mode, shadow ones too) and the list entries that
    applied, `errors` the rules that could not be judged. An order that nothing was asked about has no row.
    """

    __tablename__ = "risk_decision"
    __table_args__ = (
        one_of("decision", RiskAction),
        one_of("mode", Mode),
        Index("ix_risk_decision_order_id", "order_id"),
        Index("ix_risk_decision_store_id_id", "store_id", "id"),
    )

    id: Mapped[UuidKey]
    order_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True))
    store_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True))
    mode: Mapped[str] = mapped_column(Text)
    decision: Mapped[str] = mapped_column(Text)
    fired: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    errors: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    created_at: Mapped[CreatedAt]
