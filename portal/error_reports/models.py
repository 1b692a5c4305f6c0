"""Errors, one row for each kind and place, and the results of proofs that were run."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import BigKey, CreatedAt, Moment


class ErrorReport(Model):
    """Errors of one fingerprint: the same kind, raised by the same functions of ours.

    `sample` is the latest one's words and traceback, redacted. `request_ids` are the latest few, newest first.
    """

    __tablename__ = "error_report"
    __table_args__ = (
        UniqueConstraint("fingerprint", name="uq_error_report_fingerprint"),
        CheckConstraint("count > 0", name="count"),
        CheckConstraint("last_at >= first_at", name="order"),
        Index("ix_error_report_last_at", "last_at"),
    )

    id: Mapped[BigKey]
    kind: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text)
    logger: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    release: Mapped[str] = mapped_column(Text, server_default="")
    count: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[Moment] = mapped_column(DateTime(timezone=True))
    last_at: Mapped[Moment] = mapped_column(DateTime(timezone=True))
    sample: Mapped[str] = mapped_column(Text)
    request_ids: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    # Looked at by somebody; it comes again, and it is unhandled again.
    handled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    handled_by: Mapped[uuid.UUID | None] = mapped_column(Uuid)


class ProofRun(Model):
    """One run of `flask ledger verify`: when, how long, and how many checks found something broken."""

    __tablename__ = "proof_run"
    __table_args__ = (
        CheckConstraint("broken BETWEEN 0 AND checks", name="broken"),
        Index("ix_proof_run_subject", "subject", "id"),
    )

    id: Mapped[BigKey]
    subject: Mapped[str] = mapped_column(Text)
    at: Mapped[CreatedAt]
    duration_ms: Mapped[int] = mapped_column(Integer)
    checks: Mapped[int] = mapped_column(Integer)
    broken: Mapped[int] = mapped_column(Integer)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
