"""What became of the attempts at claimed deliveries, and what follows: an endpoint works, fails, or is disabled.

An outcome counts as long as its claim's token does (portal.webhooks.leases).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.db import hot
from portal.core.ids import public_id
from portal.reference import configuration as config
from portal.webhooks.challenge import WAITS_AFTER, note_answers
from portal.webhooks.disabled import tell_of_disabled_endpoint
from portal.webhooks.leases import Claim
from portal.webhooks.models import DeliveryState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. `retry_in_s` is set while the delivery stays pending."""

    claim: Claim
    state: DeliveryState
    retry_in_s: float | None
    latency_ms: int
    status_code: int | None = None
    error: str | None = None
    answer: str | None = None

    @property
    def is_gone(self) -> bool:
        return self.status_code == 410


# What was held back while it was under way (its endpoint points elsewhere now) waits on: the row says so itself, and it
# is read again under its lock. A challenge that was given up is nobody's work: only its store can have it asked anew.
_RECORD = """
WITH outcome AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(tokens)s::uuid[], %(states)s::text[], %(delays)s::float8[],
        %(statuses)s::int[], %(latencies)s::int[], %(errors)s::text[], %(answers)s::text[],
        %(questions)s::bool[]
    ) AS o(id, token, state, delay_s, status_code, latency_ms, error, answer, is_question)
), recorded AS (
    UPDATE webhook_delivery d
    SET state = o.state, attempts = d.attempts + 1, lease_until = NULL, lease_token = NULL,
        next_at = CASE WHEN d.next_at > %(waits_after)s THEN d.next_at
                       ELSE clock_timestamp() + make_interval(secs => coalesce(o.delay_s, 0)) END,
        done_at = CASE WHEN o.state = 'pending' THEN NULL ELSE clock_timestamp() END,
        dismissed_at = CASE WHEN o.state = 'dead' AND o.is_question THEN clock_timestamp() ELSE d.dismissed_at END
    FROM outcome o
    WHERE d.id = o.id AND d.lease_token = o.token AND d.state = 'pending'
    RETURNING d.id, d.endpoint_id, o.state, o.status_code, o.latency_ms, o.error, o.answer
), kept AS (
    INSERT INTO webhook_attempt (delivery_id, status_code, latency_ms, error, answer)
    SELECT id, status_code, latency_ms, error, answer FROM recorded
), recovered AS (
    UPDATE webhook_endpoint e SET failing_since = NULL
    WHERE failing_since IS NOT NULL
      AND e.id IN (SELECT endpoint_id FROM recorded WHERE state = 'delivered')
), started_failing AS (
    UPDATE webhook_endpoint e SET failing_since = clock_timestamp()
    WHERE failing_since IS NULL
      AND e.id IN (SELECT endpoint_id FROM recorded WHERE state <> 'delivered')
      AND e.id NOT IN (SELECT endpoint_id FROM recorded WHERE state = 'delivered')
)
SELECT id, endpoint_id FROM recorded
"""

_DISABLE = """
UPDATE webhook_endpoint
SET disabled_at = clock_timestamp(),
    disabled_reason = CASE WHEN id = ANY(%(gone)s::uuid[]) THEN 'gone' ELSE 'failing' END
WHERE disabled_at IS NULL AND deleted_at IS NULL
  AND (id = ANY(%(gone)s::uuid[])
       OR id = ANY(%(failed)s::uuid[])
          AND failing_since < clock_timestamp() - make_interval(secs => %(after_s)s))
RETURNING id, store_id, mode, url, disabled_at, disabled_reason
"""

_GIVE_UP = """
UPDATE webhook_delivery
SET state = 'dead', done_at = clock_timestamp(), lease_until = NULL, lease_token = NULL
WHERE endpoint_id = ANY(%(endpoints)s::uuid[]) AND state = 'pending'
"""

_ABANDON = """
UPDATE webhook_delivery
SET state = 'dead', done_at = coalesce(done_at, clock_timestamp()), dismissed_at = clock_timestamp(),
    lease_until = NULL, lease_token = NULL
WHERE endpoint_id = %(endpoint)s AND (state = 'pending' OR state = 'dead' AND dismissed_at IS NULL)
"""


def record_outcomes(outcomes: Sequence[Outcome]) -> int:
    """Write attempts and results in one statement; returns how many counted.

    Outcomes whose lease went to somebody else meanwhile are discarded. An endpoint that answered 410, or
    has had nothing but failures for the configured time (three days), is disabled and its pending deliveries are given up
    (they can be redelivered).
    """
    if not outcomes:
        return 0
    recorded = hot(
        _RECORD,
        {
            "ids": [o.claim.id for o in outcomes],
            "tokens": [o.claim.token for o in outcomes],
            "states": [o.state.value for o in outcomes],
            "delays": [o.retry_in_s for o in outcomes],
            "statuses": [o.status_code for o in outcomes],
            "latencies": [o.latency_ms for o in outcomes],
            "errors": [o.error for o in outcomes],
            "answers": [o.answer for o in outcomes],
            "questions": [o.claim.challenge is not None for o in outcomes],
            "waits_after": WAITS_AFTER,
        },
    )
    counted = {row["id"] for row in recorded}
    note_answers(
        [
            (o.claim.endpoint_id, o.claim.url)
            for o in outcomes
            if o.claim.challenge and o.claim.id in counted and o.state is DeliveryState.DELIVERED
        ]
    )
    failed = [o for o in outcomes if o.claim.id in counted and o.state is not DeliveryState.DELIVERED]
    if failed:
        _disable_hopeless(failed)
    return len(counted)


def _disable_hopeless(failed: Sequence[Outcome]) -> None:
    disabled = hot(
        _DISABLE,
        {
            "gone": [o.claim.endpoint_id for o in failed if o.is_gone],
            "failed": [o.claim.endpoint_id for o in failed],
            "after_s": config.get(config.WEBHOOKS_DISABLE_AFTER_S),
        },
    )
    if disabled:
        give_up_pending([row["id"] for row in disabled])
    for row in disabled:
        tell_of_disabled_endpoint(row["id"], row["store_id"], row["url"], row["disabled_at"].isoformat())
        log.warning(
            "webhook endpoint disabled",
            extra={
                "endpoint": public_id("whe", row["id"]),
                "store": public_id("st", row["store_id"]),
                "mode": row["mode"],
                "reason": row["disabled_reason"],
            },
        )


def give_up_pending(endpoint_ids: Sequence[uuid.UUID]) -> None:
    """Stop trying everything that is pending for these endpoints. It can be replayed."""
    hot(_GIVE_UP, {"endpoints": list(endpoint_ids)})


def abandon_deliveries(endpoint_id: uuid.UUID) -> None:
    """End what did not arrive at an endpoint that is deleted: nobody can have it sent, so nobody need look at it."""
    hot(_ABANDON, {"endpoint": endpoint_id})
