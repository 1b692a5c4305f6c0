"""The outbox as its carrier sees it: claim a mail with a lease and a token, record what became of it.

Whoever holds the token may record an outcome. Once a lease ran out and somebody else claimed the mail, the
former holder's outcome is discarded: the mail may arrive twice then, under one Message-ID, but is never lost.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

from portal.core.crypto import DecryptionFailed, decrypt
from portal.core.db import hot
from portal.mail.kinds import RECEIVER
from portal.mail.models import MailKind

# Longer than an SMTP dialogue of ten commands, each of which may take transport's timeout.
LEASE_S = 120
MINUTE, HOUR = 60, 3600
# What passes between one attempt and the next, spread by 10 %; after the last one the mail is dead.
DELAYS_S = (10, 30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR)
MAX_ATTEMPTS = len(DELAYS_S) + 1
KEPT_DAYS = 30


@dataclass(frozen=True, slots=True)
class ClaimedMail:
    """A mail to send now; `attempts` counts this one."""

    id: uuid.UUID
    token: uuid.UUID
    kind: MailKind
    recipient: str
    locale: str
    params: dict[str, str]
    secret_encrypted: bytes | None
    attempts: int

    def all_params(self) -> dict[str, str]:
        """The parameters with the secret ones, in plain. Raises DecryptionFailed, also where they are for another address."""
        if self.secret_encrypted is None:
            return self.params
        secret: dict[str, str] = json.loads(decrypt("mail", "secret", self.id, self.secret_encrypted))
        # Those that a former release wrote do not say.
        if secret.pop(RECEIVER, self.recipient) != self.recipient:
            raise DecryptionFailed("the mail was written for another address")
        return self.params | secret


_CLAIM = """
WITH picked AS (
    SELECT id FROM mail
    WHERE state = 'pending' AND next_at <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until < clock_timestamp())
    ORDER BY next_at LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE mail
SET lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s), lease_token = %(token)s,
    attempts = attempts + 1
FROM picked WHERE mail.id = picked.id
RETURNING mail.id, kind, recipient, locale, params, secret_encrypted, attempts
"""

_SENT = """
UPDATE mail
SET state = 'sent', done_at = clock_timestamp(), secret_encrypted = NULL, lease_until = NULL,
    lease_token = NULL, last_error = NULL
WHERE id = %(id)s AND lease_token = %(token)s AND state = 'pending'
RETURNING id
"""

_FAILED = """
UPDATE mail
SET state = CASE WHEN %(delay_s)s::float8 IS NULL THEN 'dead' ELSE 'pending' END,
    done_at = CASE WHEN %(delay_s)s::float8 IS NULL THEN clock_timestamp() END,
    next_at = clock_timestamp() + make_interval(secs => coalesce(%(delay_s)s::float8, 0) * (0.9 + 0.2 * random())),
    lease_until = NULL, lease_token = NULL, last_error = %(error)s
WHERE id = %(id)s AND lease_token = %(token)s AND state = 'pending'
RETURNING state
"""

_FORGET = """
DELETE FROM mail WHERE id IN (
    SELECT id FROM mail
    WHERE state <> 'pending' AND done_at < clock_timestamp() - make_interval(days => %(days)s::int)
    ORDER BY done_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""

_COUNTS = """
SELECT count(*) FILTER (WHERE state = 'pending') AS pending, count(*) FILTER (WHERE state = 'dead' AND dismissed_at IS NULL) AS dead,
       coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE state = 'pending')), 0)::float8
           AS oldest_s
FROM mail WHERE state IN ('pending', 'dead')
"""


def claim_mail() -> ClaimedMail | None:
    """Lease the mail that is due longest, or None. Needs transaction()."""
    token = uuid.uuid4()
    rows = hot(_CLAIM, {"lease_s": float(LEASE_S), "token": token})
    return ClaimedMail(**rows[0] | {"kind": MailKind(rows[0]["kind"]), "token": token}) if rows else None


def record_sent(mail: ClaimedMail) -> bool:
    """Done: its secrets are wiped. False when the lease went to somebody else. Needs transaction()."""
    return bool(hot(_SENT, {"id": mail.id, "token": mail.token}))


def record_failed(mail: ClaimedMail, error: str, *, is_final: bool) -> str | None:
    """Try again later, or never when `is_final` or this was the last attempt; the state it is in now.

    None when the lease went to somebody else. Needs transaction().
    """
    is_dead = is_final or mail.attempts >= MAX_ATTEMPTS
    delay_s = None if is_dead else float(DELAYS_S[mail.attempts - 1])
    rows = hot(_FAILED, {"id": mail.id, "token": mail.token, "delay_s": delay_s, "error": error[:300]})
    return rows[0]["state"] if rows else None


def forget_old_mail(*, limit: int, days: int = KEPT_DAYS) -> int:
    """Delete at most `limit` mails that were done with `days` ago; how many. Needs transaction()."""
    return len(hot(_FORGET, {"days": days, "limit": limit}))


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    pending: int
    dead: int
    oldest_pending_s: float


def count_outbox() -> OutboxCounts:
    """What waits, what was given up, and for how many seconds the oldest has waited."""
    row = hot(_COUNTS)[0]
    return OutboxCounts(row["pending"], row["dead"], row["oldest_s"])
