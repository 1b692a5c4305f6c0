"""The queues by purpose, and whether one is stopped: a row, so that a wiped Redis starts nothing again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import DateTime, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model, hot
from portal.core.db.columns import one_of


class QueueName(StrEnum):
    """Work of one purpose. Deadlines of orders are no queue: money's time is not for stopping."""

    MATCHING = "matching"
    EVENTS = "events"
    WEBHOOKS = "webhooks"
    MAIL = "mail"
    MAINTENANCE = "maintenance"


# Those of which Redis holds jobs. Rows that are due need none; one only makes them sooner.
WITH_JOBS = (QueueName.MATCHING, QueueName.MAINTENANCE)


class StopState(StrEnum):
    """Draining is worked off until nothing that was due at `since` is left, and is paused then."""

    PAUSED = "paused"
    DRAINING = "draining"


class QueueStop(Model):
    """A row while somebody has stopped the queue."""

    __tablename__ = "queue_stop"
    __table_args__ = (one_of("queue", QueueName), one_of("state", StopState))

    queue: Mapped[str] = mapped_column(Text, primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a queue has to do: `late_s` by how much the first due one is late, `per_minute` what was done of late.

    `depth` is counted up to MOST; `failing` wait for another try; `per_minute` None where no row tells.
    """

    depth: int
    oldest_s: float
    late_s: float
    failing: int
    dead: int
    per_minute: float | None


MOST = 10_000
_PAUSED = "SELECT queue FROM queue_stop WHERE state = 'paused' ORDER BY queue"


def paused_queues() -> frozenset[QueueName]:
    """The queues from which nobody may take work now. Asks the database each time."""
    return frozenset(QueueName(row["queue"]) for row in hot(_PAUSED))


def is_paused(queue: QueueName) -> bool:
    return queue in paused_queues()
