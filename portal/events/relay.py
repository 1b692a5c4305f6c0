"""The relay: takes committed events out of the outbox and hands them on, at least once each.

An event is claimed with a lease and a token, handled, and marked done in the transaction of what the
handler wrote. A relay that dies leaves a lease that runs out; a relay that was frozen finds that its
token no longer counts and its work is rolled back.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portal.core.db import hot, run_in_transaction

log = logging.getLogger(__name__)

BATCH = 100
LEASE_S = 30
MAX_ATTEMPTS = 10
# Claimed that often, and nobody lived to say what came of it.
WORN_OUT = "whoever handled it ended each time"


@dataclass(frozen=True, slots=True)
class RelayedEvent:
    """What a handler needs to know; `data` stays in the table."""

    id: uuid.UUID
    type: str
    mode: str
    store_id: uuid.UUID
    trader_id: uuid.UUID | None
    subject_kind: str
    subject_id: uuid.UUID
    attempts: int


Handler = Callable[[Sequence[RelayedEvent]], None]


class LeaseLost(Exception):
    """Somebody else has claimed these events meanwhile; what was done with them is rolled back."""


_CLAIM = """
WITH picked AS (
    SELECT id FROM event
    WHERE state = 'pending' AND next_at <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until < clock_timestamp()) AND attempts = 0
    ORDER BY next_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE event
SET lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s), lease_token = %(token)s,
    attempts = attempts + 1
FROM picked WHERE event.id = picked.id
RETURNING event.id, type, mode, store_id, trader_id, subject_kind, subject_id, attempts
"""

# The least tried first: the fellows of one that its process died of do not wait until that is given up.
_CLAIM_AGAIN = _CLAIM.replace("attempts = 0", "attempts > 0", 1).replace(
    "ORDER BY next_at", "ORDER BY attempts, next_at"
)

_DONE = """
UPDATE event
SET state = 'done', done_at = clock_timestamp(), lease_until = NULL, lease_token = NULL, last_error = NULL
WHERE id = ANY(%(ids)s::uuid[]) AND lease_token = %(token)s AND state = 'pending'
RETURNING id
"""

_FAILED = """
UPDATE event
SET state = CASE WHEN attempts >= %(max)s THEN 'dead' ELSE 'pending' END,
    done_at = CASE WHEN attempts >= %(max)s THEN clock_timestamp() END,
    next_at = clock_timestamp() + make_interval(secs => least(2 ^ attempts, 300) * (0.9 + 0.2 * random())),
    lease_until = NULL, lease_token = NULL, last_error = %(error)s
WHERE id = %(id)s AND lease_token = %(token)s AND state = 'pending'
RETURNING state
"""

_OLDEST = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS age_s
FROM event WHERE state = 'pending'
"""


def relay_events(handle: Handler, *, limit: int = BATCH) -> int:
    """Claim a batch, handle it, mark it done; returns how many events were claimed.

    Opens its own transactions. `handle` runs inside one, writes rows that are safe to write twice, and
    must not call the network. When a batch fails, its events are handled one by one, so that a poisoned
    one only holds up itself: it is tried again later and is `dead` after MAX_ATTEMPTS. What was claimed before
    is claimed alone: when a process dies of an event, the tries of others are not spent with it.
    """
    token = uuid.uuid4()
    claimed = run_in_transaction(lambda: _claim(token, limit, again=False))
    if claimed:
        _handle_together(handle, claimed, token)
    count = len(claimed)
    while count < limit and _relay_again(handle):
        count += 1
    return count


def _relay_again(handle: Handler) -> bool:
    """Handle one event that somebody has had before; whether there was one."""
    token = uuid.uuid4()
    claimed = run_in_transaction(lambda: _claim(token, 1, again=True))
    for event in claimed:
        if event.attempts > MAX_ATTEMPTS:
            _note_failure(event, token, WORN_OUT)
        else:
            _handle_alone(handle, event, token)
    return bool(claimed)


def _claim(token: uuid.UUID, limit: int, *, again: bool) -> list[RelayedEvent]:
    sql = _CLAIM_AGAIN if again else _CLAIM
    rows = hot(sql, {"limit": limit, "lease_s": LEASE_S, "token": token})
    return [RelayedEvent(**row) for row in rows]


def _handle_together(handle: Handler, events: Sequence[RelayedEvent], token: uuid.UUID) -> None:
    try:
        run_in_transaction(lambda: _handle(handle, events, token))
    except LeaseLost:
        log.warning("lease of a batch of events was lost", extra={"events": len(events)})
    except Exception:
        log.exception("a batch of events could not be handled at once")
        for event in events:
            _handle_alone(handle, event, token)


def _handle(handle: Handler, events: Sequence[RelayedEvent], token: uuid.UUID) -> None:
    handle(events)
    done = hot(_DONE, {"ids": [event.id for event in events], "token": token})
    if len(done) != len(events):
        raise LeaseLost


def _handle_alone(handle: Handler, event: RelayedEvent, token: uuid.UUID) -> None:
    try:
        run_in_transaction(lambda: _handle(handle, [event], token))
    except LeaseLost:
        log.warning("lease of an event was lost", extra={"event": str(event.id)})
    except Exception as error:
        log.exception("an event could not be handled", extra={"event": str(event.id), "type": event.type})
        _note_failure(event, token, repr(error)[:500])


def _note_failure(event: RelayedEvent, token: uuid.UUID, error: str) -> None:
    failure = {"id": event.id, "token": token, "max": MAX_ATTEMPTS, "error": error}
    after = run_in_transaction(lambda: hot(_FAILED, failure))
    if after and after[0]["state"] == "dead":
        log.error("event given up", extra={"event": str(event.id), "type": event.type, "error": error})


def oldest_pending_age_s() -> float:
    """Age in seconds of the oldest event that was not handed on yet, 0 when there is none."""
    return float(hot(_OLDEST)[0]["age_s"])
