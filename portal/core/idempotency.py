"""Idempotency keys: they live and die with the transaction of the effect they protect."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.crypto import decrypt, encrypt
from portal.core.db import Model, hot
from portal.core.db.columns import CreatedAt, one_of
from portal.core.errors import Conflict, ValidationFailed
from portal.core.modes import Mode


class IdempotencyKey(Model):
    """The answer given under one key: encrypted as a whole, since it may show a requisite, or as a text
    with a mark for its one secret, and the secret encrypted beside it for the row it belongs to."""

    __tablename__ = "idempotency_key"
    __table_args__ = (
        one_of("mode", Mode),
        CheckConstraint("(body_encrypted IS NULL) <> (answer IS NULL)", name="one_answer"),
        Index("ix_idempotency_key_created_at", "created_at", postgresql_using="brin"),
        {"postgresql_with": {"autovacuum_vacuum_scale_factor": "0.02"}},
    )

    store_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(Text, primary_key=True)
    path: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(SmallInteger)
    body_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    answer: Mapped[str | None] = mapped_column(Text)
    secret_row_id: Mapped[uuid.UUID | None]
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
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

    def check(self, fingerprint: bytes) -> None:
        """The same request as the one that was answered. Raises IdempotencyKeyReused."""
        if not hmac.compare_digest(bytes(fingerprint), self.fingerprint):
            raise IdempotencyKeyReused()

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
SELECT now() AS now, pg_try_advisory_xact_lock(%(lock)s) AS is_ours, k.fingerprint, k.status, k.body_encrypted, k.answer
  FROM (SELECT 1) one LEFT JOIN idempotency_key k
    ON k.store_id = %(store_id)s AND k.mode = %(mode)s AND k.path = %(path)s AND k.key = %(key)s
"""
_NOW = "SELECT now() AS now"
_STORE = """
INSERT INTO idempotency_key (store_id, mode, path, key, fingerprint, status, body_encrypted)
VALUES (%(store_id)s, %(mode)s, %(path)s, %(key)s, %(fingerprint)s, %(status)s, %(body)s)
"""


def begin_call(call: IdempotentCall | None) -> tuple[datetime, StoredAnswer | None]:
    """The transaction's time, and the answer to replay if this call was made before (with its mark, where
    it has one).

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
    call.check(row["fingerprint"])
    body = row["answer"] if row["body_encrypted"] is None else call.unseal(row["body_encrypted"])
    return row["now"], StoredAnswer(row["status"], body)


_FIND = """
SELECT 'replay' AS verdict, fingerprint, status AS kept_status, body_encrypted AS kept_body, answer, secret_row_id, secret
  FROM idempotency_key WHERE store_id = %(store_id)s AND mode = %(mode)s AND path = %(path)s AND key = %(key)s
"""


def find_answer(call: IdempotentCall) -> dict[str, Any] | None:
    """The row that is kept under the key, as place_order gives it; None when nothing was answered yet."""
    return next(iter(hot(_FIND, _scope(call))), None)


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
