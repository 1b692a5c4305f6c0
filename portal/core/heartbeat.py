"""When the clock last acted: what tells an outage from a quiet minute."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model


class Heartbeat(Model):
    """One row for each process role whose silence means an outage."""

    __tablename__ = "heartbeat"

    role: Mapped[str] = mapped_column(Text, primary_key=True)
    beat_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
