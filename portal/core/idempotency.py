"""Idempotency keys: they live and die with the transaction of the effect they protect."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

from sqlalchemy import Index, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.columns import CreatedAt, one_of
from portal.core.crypto import decrypt, encrypt
from portal.core.db import db
from portal.core.modes import Mode


class IdempotencyKey(db.Model):
    """The answer given under one key. The body is encrypted: it may show a requisite."""

    __tablename__ = "idempotency_key"
    __table_args__ = (
        one_of("mode", Mode),
        Index("ix_idempotency_key_created_at", "created_at"),
        {"postgresql_with": {"autovacuum_vacuum_scale_factor": "0.02"}},
    )

    store_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(Text, primary_key=True)
    path: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(SmallInteger)
    body_encrypted: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]


@dataclass(frozen=True, slots=True)
class IdempotentCall:
    """Scope of one key: (store, mode, concrete path, key), and the SHA-256 of the validated body."""

    store_id: uuid.UUID
    mode: Mode
    path: str
    key: str
    fingerprint: bytes

    @property
    def lock_key(self) -> int:
        """A 64-bit number for pg_try_advisory_xact_lock: twins in flight are told so at once."""
        scope = f"{self.store_id}\0{self.mode}\0{self.path}\0{self.key}"
        return int.from_bytes(hashlib.sha256(scope.encode()).digest()[:8], "big", signed=True)

    def seal(self, body: str) -> bytes:
        return encrypt("idempotency_key", f"{self.path}\0{self.key}", self.store_id, body)

    def unseal(self, stored: bytes) -> str:
        return decrypt("idempotency_key", f"{self.path}\0{self.key}", self.store_id, stored)
