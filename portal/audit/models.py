"""The audit log and the chain that seals it. Rows of both are only ever added."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.dialects.postgresql import ARRAY, INET, JSONB, UUID
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.actors import ActorKind
from portal.core.db import Model
from portal.core.db.columns import BigKey, CreatedAt, one_of


class AuditEntry(Model):
    """One thing that somebody did: who, when, from where, to what, what it was before and after, and why.

    `before` and `after` hold the fields that changed, masked. A trigger refuses every change and queues the
    entry for the sealer.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        one_of("actor_kind", ActorKind),
        CheckConstraint("action ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)+$'", name="action"),
        CheckConstraint("(subject_kind IS NULL) = (subject_id IS NULL)", name="whole_subject"),
        Index("ix_audit_entry_subject", "subject_kind", "subject_id", "id"),
        Index("ix_audit_entry_actor_id", "actor_id", "id"),
        Index("ix_audit_entry_action", "action", "id"),
        Index("ix_audit_entry_at", "at"),
    )

    id: Mapped[BigKey]
    at: Mapped[CreatedAt]
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None]
    action: Mapped[str] = mapped_column(Text)
    subject_kind: Mapped[str | None] = mapped_column(Text)
    subject_id: Mapped[str | None] = mapped_column(Text)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    reason: Mapped[str | None] = mapped_column(Text)
    ip: Mapped[str | None] = mapped_column(INET)
    user_agent: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    session_id: Mapped[uuid.UUID | None]


class AuditUnsealed(Model):
    """Entries that wait for the sealer; filled by a trigger, emptied by the sealer alone."""

    __tablename__ = "audit_unsealed"

    entry_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("audit_entry.id"), primary_key=True, autoincrement=False
    )


class AuditSeal(Model):
    """One link of the chain: `hash` = SHA-256 over the link's number, the hash before it and the entry."""

    __tablename__ = "audit_seal"
    __table_args__ = (
        CheckConstraint("sequence > 0", name="sequence"),
        CheckConstraint("octet_length(hash) = 32 AND octet_length(previous_hash) = 32", name="hashes"),
        UniqueConstraint("entry_id"),
    )

    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("audit_entry.id"))
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_at: Mapped[CreatedAt]


class ChangeImage(Model):
    """That a row of a watched table became something else: the SHA-256 of its watched columns; NULL once it is gone.

    Written by the trigger `note_change`, append-only. No value stands here: what was changed the audit log tells.
    """

    __tablename__ = "change_image"
    __table_args__ = (Index("ix_change_image_row", "table_name", "row_key", "id"),)

    id: Mapped[BigKey]
    at: Mapped[CreatedAt]
    table_name: Mapped[str] = mapped_column(Text)
    row_key: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)


class ChainLink(Model):
    """One link of a keyed chain: some rows with the SHA-256 of each, and an HMAC over them and the link before.

    The rows are in `ids` or, where a table's key is one, in `uuids`; `digests` in the same order. `low_key` and
    `high_key` are the least and the greatest of them, written so that they compare as text. A link without rows says that
    the sealer was there, or what an operator said (`statement`). The HMAC of the first form (`mac_version` 1) covers rows
    alone, the present one all of the link.
    """

    __tablename__ = "chain_link"
    __table_args__ = (
        CheckConstraint("sequence > 0", name="sequence"),
        CheckConstraint("octet_length(mac) = 32 AND octet_length(previous_mac) = 32", name="macs"),
        CheckConstraint("coalesce(cardinality(ids), cardinality(uuids)) = cardinality(digests)", name="rows"),
        CheckConstraint("num_nonnulls(ids, uuids) = 1", name="one_kind"),
        CheckConstraint("mac_version IN (1, 2)", name="mac_version"),
        Index("ix_chain_link_high_key", "chain", "high_key"),
    )

    chain: Mapped[str] = mapped_column(Text, primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    ids: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    uuids: Mapped[list[uuid.UUID] | None] = mapped_column(ARRAY(UUID(as_uuid=True)))
    digests: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
    low_key: Mapped[str] = mapped_column(Text(collation="C"))
    high_key: Mapped[str] = mapped_column(Text(collation="C"))
    previous_mac: Mapped[bytes] = mapped_column(LargeBinary)
    mac: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(Text)
    sealed_at: Mapped[CreatedAt]
    mac_version: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    reached_end: Mapped[bool] = mapped_column(server_default=false())
    statement: Mapped[str | None] = mapped_column(Text)


class ChainMark(Model):
    """How far a chain's sealer has come. All rows to `low` are sealed; to `final` nothing can appear any more.

    `seen` was the end at `seen_at`, when no transaction from `seen_before` on had begun. Only how fast the sealer finds
    its work follows from this; the proof does not believe it.
    """

    __tablename__ = "chain_mark"

    chain: Mapped[str] = mapped_column(Text, primary_key=True)
    low: Mapped[str] = mapped_column(Text)
    final: Mapped[str] = mapped_column(Text)
    seen: Mapped[str] = mapped_column(Text)
    seen_before: Mapped[int] = mapped_column(BigInteger, server_default="0")
    seen_at: Mapped[CreatedAt]
