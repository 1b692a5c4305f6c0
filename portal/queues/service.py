"""Stopping queues, letting them go on, and trying again or dismissing what was given up.

Each verb of a person raises ValidationFailed for a reason that is none.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import hot
from portal.core.errors import Conflict
from portal.core.queues import QueueName, StopState
from portal.core.text_rules import reason_of
from portal.events.backlog import EVENTS
from portal.mail.backlog import MAIL
from portal.orders.figures import backlog as matching
from portal.webhooks import backlog as webhooks

REPLAYED_AT_ONCE = 10_000

_STOP = """
INSERT INTO queue_stop (queue, state, reason) VALUES (%(queue)s, %(state)s, %(reason)s)
ON CONFLICT (queue) DO UPDATE SET state = excluded.state, reason = excluded.reason, since = clock_timestamp()
WHERE queue_stop.state <> excluded.state
RETURNING queue
"""
_GO_ON = "DELETE FROM queue_stop WHERE queue = %(queue)s RETURNING state"
_DRAINING = "SELECT queue, since FROM queue_stop WHERE state = 'draining'"
_DRAINED = (
    "UPDATE queue_stop SET state = 'paused' WHERE queue = %(queue)s AND state = 'draining' RETURNING queue"
)
_HAS_DUE: Mapping[str, Callable[[datetime], bool]] = {
    QueueName.MATCHING.value: matching.has_due,
    QueueName.EVENTS.value: EVENTS.has_due,
    QueueName.WEBHOOKS.value: webhooks.has_due,
    QueueName.MAIL.value: MAIL.has_due,
}
_REPLAYS: Mapping[QueueName, Callable[[Sequence[uuid.UUID] | None, int], int]] = {
    QueueName.EVENTS: EVENTS.replay,
    QueueName.WEBHOOKS: webhooks.replay,
    QueueName.MAIL: MAIL.replay,
}


_DISMISSALS: Mapping[QueueName, Callable[[Sequence[uuid.UUID] | None, int], int]] = {
    QueueName.EVENTS: EVENTS.dismiss,
    QueueName.WEBHOOKS: webhooks.dismiss,
    QueueName.MAIL: MAIL.dismiss,
}


class NothingToReplay(Conflict):
    code, title = "nothing_to_replay", "There is nothing here that could be tried again"


class NothingToDismiss(Conflict):
    code, title = "nothing_to_dismiss", "There is nothing here that could be dismissed"


def after_clock_set_back(by: timedelta) -> None:
    """What waits in the queues waits as long as was meant when the database's clock was set back by so much.

    Needs transaction().
    """
    for set_back in (EVENTS.after_clock_set_back, webhooks.after_clock_set_back, MAIL.after_clock_set_back):
        set_back(by)


def pause_queue(queue: QueueName, reason: str, *, actor: Actor) -> bool:
    """Nobody takes work of this queue any more; what is in hand is finished. False when it was so already.

    Workers obey with their next turn, within seconds. Needs transaction().
    """
    return _stop(queue, StopState.PAUSED, reason, actor)


def drain_queue(queue: QueueName, reason: str, *, actor: Actor) -> bool:
    """As pausing, once everything that is due now has been tried. False when it was so already."""
    return _stop(queue, StopState.DRAINING, reason, actor)


def _stop(queue: QueueName, state: StopState, reason: str, actor: Actor) -> bool:
    words = reason_of(reason)
    changed = hot(_STOP, {"queue": queue.value, "state": state.value, "reason": words})
    if changed:
        verb = "paused" if state is StopState.PAUSED else "drained"
        record_audit(f"queue.{verb}", actor=actor, subject=("queue", queue.value), reason=words)
    return bool(changed)


def resume_queue(queue: QueueName, reason: str, *, actor: Actor) -> bool:
    """Work of this queue is taken again. False when it was not stopped. Needs transaction()."""
    words = reason_of(reason)
    former = hot(_GO_ON, {"queue": queue.value})
    if former:
        record_audit("queue.resumed", actor=actor, subject=("queue", queue.value), reason=words)
    return bool(former)


def replay_dead(
    queue: QueueName, reason: str, *, actor: Actor, ids: Sequence[uuid.UUID] | None = None
) -> int:
    """Try again what this queue gave up: these, or all (REPLAYED_AT_ONCE at most); how many.

    Raises NothingToReplay. Needs transaction().
    """
    replay = _REPLAYS.get(queue)
    count = replay(ids, REPLAYED_AT_ONCE) if replay else 0
    if not count:
        raise NothingToReplay
    _record(queue, "replayed", count, ids, reason, actor)
    return count


def dismiss_dead(
    queue: QueueName, reason: str, *, actor: Actor, ids: Sequence[uuid.UUID] | None = None
) -> int:
    """Count what this queue gave up as dead no more: these, or all (REPLAYED_AT_ONCE at most); how many.

    It is never tried again from here; its rows are kept. Raises NothingToDismiss. Needs transaction().
    """
    dismiss = _DISMISSALS.get(queue)
    count = dismiss(ids, REPLAYED_AT_ONCE) if dismiss else 0
    if not count:
        raise NothingToDismiss
    _record(queue, "dismissed", count, ids, reason, actor)
    return count


def _record(
    queue: QueueName, verb: str, count: int, ids: Sequence[uuid.UUID] | None, reason: str, actor: Actor
) -> None:
    record_audit(
        f"queue.{verb}",
        actor=actor,
        subject=("queue", queue.value),
        after={"count": count, "ids": [str(one) for one in ids or ()]},
        reason=reason_of(reason),
    )


def finish_draining() -> int:
    """Pause the draining queues of which nothing is left that was due when that began; how many. Needs transaction()."""
    finished = 0
    for row in hot(_DRAINING):
        has_due = _HAS_DUE.get(row["queue"])
        if has_due is None or not has_due(row["since"]):
            finished += len(hot(_DRAINED, {"queue": row["queue"]}))
    return finished
