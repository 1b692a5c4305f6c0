"""What is due is claimed by a sender, and what it did not come to is given back.

Each claim carries a lease and a token. Whoever holds the token may record an outcome (portal.webhooks.outcomes); once a
lease ran out and somebody else claimed the delivery, the former holder's outcome is discarded.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.core.crypto import DecryptionFailed, decrypt
from portal.core.db import hot
from portal.core.errors import NotFound
from portal.core.ids import public_id
from portal.reference import configuration as config
from portal.webhooks.body import event_body
from portal.webhooks.challenge import TYPE as CHALLENGE

log = logging.getLogger(__name__)

# What a lease has over twice the timeout: the time to claim, to record and for a slow commit.
LEASE_MARGIN_S = 10


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery to attempt now. `attempts` have been made before; `secrets` are plain, newest first.

    `is_broken`: its secret or requisite can't be decrypted, so there is nothing that could be sent.
    """

    id: uuid.UUID
    token: uuid.UUID
    endpoint_id: uuid.UUID
    is_failing: bool
    attempts: int
    url: str
    mode: str
    message_id: str
    body: bytes
    secrets: tuple[str, ...]
    timeout_s: int
    # The database's time less this process's seconds: what is signed later carries the right time.
    clock_s: float
    is_broken: bool = False
    # What the answer must hold, where this is the question whether the endpoint wants to be called.
    challenge: str | None = None


# Endpoints come in random order: when there is more due than room, nobody waits behind the same neighbour. One that has
# not answered its challenge gets nothing but that, whatever is due: by a scalar subquery, which nothing turns into a
# hash of all events, and which a verified endpoint never comes to.
_CLAIM = """
WITH picked AS (
    SELECT due.id
    FROM (
        SELECT id, verified_at FROM webhook_endpoint
        WHERE disabled_at IS NULL AND deleted_at IS NULL AND (failing_since IS NOT NULL) = %(failing)s
        ORDER BY random()
    ) e
    LEFT JOIN unnest(%(busy)s::uuid[], %(counts)s::int[]) AS busy(endpoint_id, n) ON busy.endpoint_id = e.id
    CROSS JOIN LATERAL (
        SELECT d.id FROM webhook_delivery d
        WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.next_at <= clock_timestamp()
          AND (d.lease_until IS NULL OR d.lease_until < clock_timestamp())
          AND (e.verified_at IS NOT NULL OR (SELECT v.type FROM event v WHERE v.id = d.event_id) = %(challenge)s)
        ORDER BY d.next_at
        LIMIT greatest(%(per_endpoint)s - coalesce(busy.n, 0), 0)
        FOR UPDATE SKIP LOCKED
    ) due
    LIMIT %(limit)s
), claimed AS (
    UPDATE webhook_delivery d
    SET lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s), lease_token = %(token)s
    FROM picked WHERE d.id = picked.id
    RETURNING d.id, d.endpoint_id, d.event_id, d.attempts, d.next_at
)
SELECT c.id, c.endpoint_id, c.event_id, c.attempts, e.url, e.secret_encrypted, e.former_secret_encrypted,
       e.former_secret_until > clock_timestamp() AS former_is_valid,
       v.type, v.mode, v.version, v.sequence, v.created_at, v.data,
       extract(epoch FROM clock_timestamp())::float8 AS claimed_at_s
FROM claimed c JOIN webhook_endpoint e ON e.id = c.endpoint_id JOIN event v ON v.id = c.event_id
ORDER BY c.next_at
"""

_RELEASE = """
UPDATE webhook_delivery d SET lease_until = NULL, lease_token = NULL
FROM unnest(%(ids)s::uuid[], %(tokens)s::uuid[]) AS r(id, token)
WHERE d.id = r.id AND d.lease_token = r.token
"""


def lease_s() -> int:
    """Seconds a claim is held: more than twice what an attempt may take."""
    return 2 * config.get(config.WEBHOOK_TIMEOUT_S) + LEASE_MARGIN_S


def claim_deliveries(
    *, limit: int, per_endpoint: int, failing: bool, busy: Mapping[uuid.UUID, int]
) -> list[Claim]:
    """Lease up to `limit` due deliveries for `lease_s()` seconds, oldest first within an endpoint.

    `busy` counts what the caller already has in flight: together with it no endpoint gets more than
    `per_endpoint`. Only endpoints that fail (`failing`) or only those that don't. Rows locked by another
    sender are passed over.
    """
    token = uuid.uuid4()
    rows = hot(
        _CLAIM,
        {
            "failing": failing,
            "busy": list(busy),
            "counts": list(busy.values()),
            "per_endpoint": per_endpoint,
            "limit": limit,
            "challenge": CHALLENGE,
            "lease_s": lease_s(),
            "token": token,
        },
    )
    read_at = time.monotonic()
    return [_claim(row, token, read_at, is_failing=failing) for row in rows]


def _claim(row: dict[str, Any], token: uuid.UUID, read_at: float, *, is_failing: bool) -> Claim:
    try:
        secrets, body, is_broken = _secrets(row), event_body(row), False
    except (DecryptionFailed, NotFound):
        # One damaged row must not stop the others; it fails on the schedule, for everybody to see.
        log.exception("a delivery has nothing to send", extra={"delivery": str(row["id"])})
        secrets, body, is_broken = (), b"", True
    return Claim(
        id=row["id"],
        token=token,
        endpoint_id=row["endpoint_id"],
        is_failing=is_failing,
        attempts=row["attempts"],
        url=row["url"],
        mode=row["mode"],
        message_id=public_id("evt", row["event_id"]),
        body=body,
        secrets=secrets,
        timeout_s=config.get(config.WEBHOOK_TIMEOUT_S),
        clock_s=row["claimed_at_s"] - read_at,
        is_broken=is_broken,
        challenge=row["data"].get("challenge") if row["type"] == CHALLENGE else None,
    )


def _secrets(row: dict[str, Any]) -> tuple[str, ...]:
    endpoint_id = row["endpoint_id"]
    newest = decrypt("webhook_endpoint", "secret", endpoint_id, row["secret_encrypted"])
    if not row["former_is_valid"]:
        return (newest,)
    former = decrypt("webhook_endpoint", "former_secret", endpoint_id, row["former_secret_encrypted"])
    return (newest, former)


def release_deliveries(claims: Sequence[Claim]) -> None:
    """Give leases back unused: another sender may claim these at once. Counts as no attempt."""
    if claims:
        hot(_RELEASE, {"ids": [c.id for c in claims], "tokens": [c.token for c in claims]})
