"""Idempotency keys: they live and die with the transaction of the effect they protect."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Index, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.columns import CreatedAt, one_of
from portal.core.crypto import decrypt, encrypt
from portal.core.db import Model, hot
from portal.core.errors import Conflict, ValidationFailed
from portal.core.modes import Mode


class IdempotencyKey(Model):
    """The answer given under one key. The body is encrypted: it may show a requisite."""

    __tablename__ = "idempotency_key"
    __table_args__ = (
        one_of("mode", Mode),
        Index("ix_idempotency_key_created_at", "created_at", postgresql_using="brin"),
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


class IdempotencyKeyReused(ValidationFailed):
    code, title = "idempotency_key_reused", "This Idempotency-Key was used with another request"


class IdempotencyInProgress(Conflict):
    code, title = "idempotency_in_progress", "A request with this Idempotency-Key is still running"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    status: int
    body: str


# One round trip: is a twin running, what was answered before, and what time is it for this transaction.
_BEGIN = """
SELECT now() AS now, pg_try_advisory_xact_lock(%(lock)s) AS is_ours, k.fingerprint, k.status, k.body_encrypted
  FROM (SELECT 1) one LEFT JOIN idempotency_key k
    ON k.store_id = %(store_id)s AND k.mode = %(mode)s AND k.path = %(path)s AND k.key = %(key)s
"""
_NOW = "SELECT now() AS now"
# Appended to the statement that writes the effect, or run alone for a refusal that must stay one.
STORE_COLUMNS = "store_id, mode, path, key, fingerprint, status, body_encrypted"
_STORE = f"""
INSERT INTO idempotency_key ({STORE_COLUMNS})
VALUES (%(store_id)s, %(mode)s, %(path)s, %(key)s, %(fingerprint)s, %(status)s, %(body)s)
"""  # noqa: S608


def begin_call(call: IdempotentCall | None) -> tuple[datetime, StoredAnswer | None]:
    """The transaction's time, and the answer to replay if this call was made before.

    Takes a transaction-level advisory lock on the key. Raises IdempotencyInProgress while a twin runs and
    IdempotencyKeyReused for another body.
    """
    if call is None:
        return hot(_NOW)[0]["now"], None
    row = hot(_BEGIN, _scope(call) | {"lock": call.lock_key})[0]
    if not row["is_ours"]:
        raise IdempotencyInProgress(retry_after_s=1)
    if row["status"] is None:
        return row["now"], None
    if not hmac.compare_digest(bytes(row["fingerprint"]), call.fingerprint):
        raise IdempotencyKeyReused()
    return row["now"], StoredAnswer(row["status"], call.unseal(row["body_encrypted"]))


def store_answer(call: IdempotentCall, status: int, body: str) -> None:
    """Keep an answer under its key, in the present transaction."""
    hot(_STORE, _scope(call) | {"fingerprint": call.fingerprint, "status": status, "body": call.seal(body)})


def _scope(call: IdempotentCall) -> dict[str, object]:
    return {"store_id": call.store_id, "mode": call.mode.value, "path": call.path, "key": call.key}


_DELETE_OLD = """
DELETE FROM idempotency_key WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM idempotency_key WHERE created_at < now() - make_interval(hours => %(hours)s::int)
   ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING 1
"""


def delete_old_keys(retention_h: int, *, limit: int) -> int:
    """Forget at most `limit` keys older than the retention; how many. Call inside transaction()."""
    return len(hot(_DELETE_OLD, {"hours": retention_h, "limit": limit}))
