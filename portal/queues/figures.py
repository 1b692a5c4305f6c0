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
from portal.orders.figures import backlog as matching
from portal.webhooks import backlog as webhooks

_STOPS = "SELECT queue, state, reason, since FROM queue_stop"
# Upkeep finds its work by itself; what waits for it as rows are postings to fold and entries to seal, due at once.
_UPKEEP = """
SELECT w.depth, greatest(coalesce(extract(epoch FROM clock_timestamp() - least(f.at, s.at)), 0), 0)::float8 AS oldest_s
FROM (SELECT count(*) AS depth FROM (
        (SELECT 1 FROM ledger_unfolded LIMIT %(most)s) UNION ALL (SELECT 1 FROM audit_unsealed LIMIT %(most)s)) r) w
LEFT JOIN (SELECT e.created_at AS at
           FROM (SELECT account_id, posting_id FROM ledger_unfolded ORDER BY posting_id LIMIT 1) u
           JOIN ledger_posting p ON p.account_id = u.account_id AND p.id = u.posting_id
           JOIN ledger_entry e ON e.id = p.entry_id) f ON true
LEFT JOIN (SELECT at FROM audit_entry WHERE id = (SELECT min(entry_id) FROM audit_unsealed)) s ON true
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
        QueueName.MAINTENANCE: _upkeep(),
    }
    return [_state(name, backlog, stops.get(name.value)) for name, backlog in found.items()]


def _upkeep() -> Backlog:
    found = hot(_UPKEEP, {"most": MOST})[0]
    return Backlog(found["depth"], found["oldest_s"], found["oldest_s"], 0, 0, None)


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
