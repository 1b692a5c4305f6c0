"""What proves a person besides the password: TOTP, recovery codes, passkeys; and how often they were tried."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import BigKey, CreatedAt, Moment, UuidKey, one_of


class ChallengePurpose(StrEnum):
    """What a passkey's answer may be used for."""

    ENROL = "enrol"
    SECOND_FACTOR = "second_factor"
    SUDO = "sudo"


class TotpFactor(Model):
    """An authenticator app. Its secret is encrypted; it counts once `confirmed_at` is set.

    `last_step` is the 30-second step of the last code taken: only later ones are taken after it.
    """

    __tablename__ = "totp_factor"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    secret_encrypted: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class RecoveryCode(Model):
    """One way in when the factor is lost: a keyed hash, good once."""

    __tablename__ = "recovery_code"
    __table_args__ = (UniqueConstraint("user_id", "code_hash"),)

    id: Mapped[UuidKey]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class Passkey(Model):
    """A WebAuthn credential. One whose counter went back is set aside: somebody may have copied it."""

    __tablename__ = "passkey"
    __table_args__ = (
        UniqueConstraint("credential_id"),
        CheckConstraint("sign_count >= 0", name="sign_count"),
        Index("ix_passkey_user_id", "user_id"),
    )

    id: Mapped[UuidKey]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(Text)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    set_aside_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PasskeyChallenge(Model):
    """What a passkey has to sign: for one session and one purpose, gone once it is answered."""

    __tablename__ = "passkey_challenge"
    __table_args__ = (one_of("purpose", ChallengePurpose),)

    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("user_session.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[Moment]


class FactorAttempt(Model):
    """Counted here and not in Redis, so that a wiped Redis opens nothing."""

    __tablename__ = "factor_attempt"
    __table_args__ = (
        Index("ix_factor_attempt_user_id_at", "user_id", "at"),
        Index("ix_factor_attempt_at", "at", postgresql_using="brin"),
    )

    id: Mapped[BigKey]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    ip: Mapped[str | None] = mapped_column(INET)
    succeeded: Mapped[bool]
    at: Mapped[CreatedAt]
