"""What traders have shown of themselves, and what was decided about it."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import CreatedAt, UuidKey, one_of


class DocumentKind(StrEnum):
    IDENTITY = "identity"
    ADDRESS = "address"
    BANK = "bank"
    CONTRACT = "contract"
    OTHER = "other"


class Outcome(StrEnum):
    """Verified; refused before that; withdrawn after that by a person; expired by the clock."""

    VERIFIED = "verified"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class TraderDocument(Model):
    """A file that shows who a trader is; only ever served as an attachment.

    `sha256` is of the bytes as they came, `seen_sha256` of the pixels that people see (None: kept before).
    """

    __tablename__ = "trader_document"
    __table_args__ = (
        one_of("kind", DocumentKind),
        CheckConstraint("size_bytes > 0", name="size_bytes"),
        UniqueConstraint("trader_id", "sha256"),
    )

    id: Mapped[UuidKey]
    trader_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trader.id"))
    kind: Mapped[str] = mapped_column(Text)
    file_key: Mapped[str] = mapped_column(Text)
    # What people are shown instead of a PDF; None where the file itself is the picture.
    picture_key: Mapped[str | None] = mapped_column(Text)
    pages: Mapped[int | None] = mapped_column(Integer)
    content_type: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    seen_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    uploaded_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[CreatedAt]

    @property
    def is_image(self) -> bool:
        return self.content_type.startswith("image/")

    @property
    def has_picture(self) -> bool:
        """Is there something to be looked at; else it can only be saved (a PDF of before they were painted)."""
        return self.is_image or self.picture_key is not None


class TraderDecision(Model):
    """One decision about a trader, by a person, or by the clock when `decided_by` is None."""

    __tablename__ = "trader_decision"
    __table_args__ = (
        one_of("outcome", Outcome),
        CheckConstraint("(outcome = 'expired') = (decided_by IS NULL)", name="by_a_person"),
        CheckConstraint("valid_until IS NULL OR outcome = 'verified'", name="valid_until"),
        Index("ix_trader_decision_trader_id", "trader_id", "id"),
    )

    id: Mapped[UuidKey]
    trader_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trader.id"))
    outcome: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    valid_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    decided_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[CreatedAt]
