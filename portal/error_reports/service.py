"""Writing errors and proofs down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from portal.core.db import hot
from portal.error_reports.recorder import REQUEST_IDS, Counted

_ADD = """
INSERT INTO error_report
  (kind, fingerprint, logger, level, role, release, count, first_at, last_at, sample, request_ids)
VALUES (%(kind)s, %(fingerprint)s, %(logger)s, %(level)s, %(role)s, %(release)s, %(count)s, %(first_at)s,
  %(last_at)s, %(sample)s, %(request_ids)s::text[])
ON CONFLICT (fingerprint) DO UPDATE SET
  count = error_report.count + excluded.count,
  first_at = least(error_report.first_at, excluded.first_at),
  last_at = greatest(error_report.last_at, excluded.last_at),
  level = excluded.level, role = excluded.role, release = excluded.release, sample = excluded.sample,
  handled_at = NULL, handled_by = NULL,
  request_ids = (excluded.request_ids || error_report.request_ids)[1:%(most)s::int]
"""

_FORGET = """
DELETE FROM error_report WHERE id IN (
  SELECT id FROM error_report WHERE last_at < clock_timestamp() - make_interval(days => %(days)s::int)
  ORDER BY last_at LIMIT %(limit)s)
RETURNING id
"""

_PROOF = """
INSERT INTO proof_run (subject, duration_ms, checks, broken, findings)
VALUES (%(subject)s, %(duration_ms)s, %(checks)s, %(broken)s, %(findings)s::jsonb)
"""


def add_reports(counted: Sequence[Counted], *, role: str, release: str) -> None:
    """Add these errors to their rows. Call inside `transaction()`. Locks the rows, by fingerprint."""
    for one in sorted(counted, key=lambda each: each.fingerprint):
        hot(
            _ADD,
            {
                "kind": one.kind, "fingerprint": one.fingerprint, "logger": one.logger, "level": one.level,
                "role": role, "release": release, "count": one.count, "first_at": one.first_at,
                "last_at": one.last_at, "sample": one.sample, "request_ids": one.request_ids,
                "most": REQUEST_IDS,
            },
        )  # fmt: skip


def forget_old_reports(*, days: int = 90, limit: int = 1000) -> int:
    """Remove errors that have not come for so long; returns how many. Call inside `transaction()`."""
    return len(hot(_FORGET, {"days": days, "limit": limit}))


def record_proof(
    subject: str, *, duration_ms: int, checks: int, broken: int, findings: Sequence[Mapping[str, Any]]
) -> None:
    """Keep the result of a proof (`ledger`, ...). Call inside `transaction()`."""
    hot(
        _PROOF,
        {
            "subject": subject,
            "duration_ms": duration_ms,
            "checks": checks,
            "broken": broken,
            "findings": orjson.dumps([dict(finding) for finding in findings]).decode(),
        },
    )
