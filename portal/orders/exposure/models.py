"""What a store's live payins hold and disclose at present: figures that limits of exposure are compared with."""

from __future__ import annotations

import uuid

from sqlalchemy import Integer, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model
from portal.core.db.columns import Minor, Moment, one_of
from portal.core.modes import Mode


class Exposure(Model):
    """One of the eight parts of a store's figures; only their sum means something, a part may be negative.

    `open_minor` is what the store's payins hold of traders' deposits, `claimed_minor` that of payins whose
    customer, or their shop, has said that they paid (disputed ones too), in minor units of `currency`. `shown` and `paid` count
    requisites given and payins completed in `hour`, `paid_before` those completed in the hour before it. A trigger
    on `orders` keeps all of them.
    """

    __tablename__ = "exposure"
    __table_args__ = (
        one_of("mode", Mode),
        {"postgresql_with": {"fillfactor": "40", "autovacuum_vacuum_scale_factor": "0.02"}},
    )

    store_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    mode: Mapped[str] = mapped_column(Text, primary_key=True)
    currency: Mapped[str] = mapped_column(Text, primary_key=True)
    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    open_minor: Mapped[Minor] = mapped_column(server_default="0")
    claimed_minor: Mapped[Minor] = mapped_column(server_default="0")
    hour: Mapped[Moment] = mapped_column(server_default=text("date_trunc('hour', now())"))
    shown: Mapped[int] = mapped_column(Integer, server_default="0")
    paid: Mapped[int] = mapped_column(Integer, server_default="0")
    paid_before: Mapped[int] = mapped_column(Integer, server_default="0")
