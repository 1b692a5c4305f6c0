"""What each queue has to do, and what it gave up."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.core.db import hot
from portal.core.ids import public_id
from portal.core.queues import MOST, Backlog, QueueName
from portal.events.backlog import EVENTS
from portal.mail.backlog import MAIL
from portal.orders import backlog as matching
from portal.webhooks import backlog as webhooks

_STOPS = "SELECT queue, state, reason, since FROM queue_stop"
# Upkeep finds its work by itself; what waits for it as rows are postings to fold and entries to seal.
_UPKEEP = """
SELECT count(*) AS depth FROM (
    (SELECT 1 FROM ledger_unfolded LIMIT %(most)s) UNION ALL (SELECT 1 FROM audit_unsealed LIMIT %(most)s)) w
"""
_DEAD: Mapping[QueueName, Callable[[int], list[dict[str, Any]]]] = {
    QueueName.EVENTS: EVENTS.list_dead,
    QueueName.WEBHOOKS: webhooks.list_dead,
    QueueName.MAIL: MAIL.list_dead,
}


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue now; `state` is running, draining or paused."""

    name: QueueName
    state: str
    reason: str
    since: datetime | None
    backlog: Backlog


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that was given up: what it was, about what, and why."""

    id: uuid.UUID
    what: str
    about: str
    attempts: int
    died_at: datetime
    error: str


def list_queues() -> list[QueueState]:
    """All queues in the order of their names' enumeration. Six statements."""
    stops = {row["queue"]: row for row in hot(_STOPS)}
    found = {
        QueueName.MATCHING: matching.backlog(),
        QueueName.EVENTS: EVENTS.backlog(),
        QueueName.WEBHOOKS: webhooks.backlog(),
        QueueName.MAIL: MAIL.backlog(),
        QueueName.MAINTENANCE: Backlog(hot(_UPKEEP, {"most": MOST})[0]["depth"], 0.0, 0.0, 0, 0, None),
    }
    return [_state(name, backlog, stops.get(name.value)) for name, backlog in found.items()]


def _state(name: QueueName, backlog: Backlog, stop: dict[str, Any] | None) -> QueueState:
    if stop is None:
        return QueueState(name, "running", "", None, backlog)
    return QueueState(name, stop["state"], stop["reason"], stop["since"], backlog)


def list_dead_letters(queue: QueueName, limit: int = 50) -> list[DeadLetter]:
    """What this queue gave up, the latest first; nothing for a queue whose work can't die."""
    list_dead = _DEAD.get(queue)
    return [_letter(row) for row in list_dead(limit)] if list_dead else []


def _letter(row: dict[str, Any]) -> DeadLetter:
    subject_id, about = row.get("subject_id"), ""
    if subject_id is not None:
        about = public_id("ord", subject_id) if row["subject_kind"] == "order" else row["subject_kind"]
    return DeadLetter(row["id"], row["what"], about, row["attempts"], row["done_at"], row["error"][:500])
