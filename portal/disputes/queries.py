"""Reading disputes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.core.db import hot

_OF_ORDER = """
SELECT reason, words, claimed_minor, opened_by_kind, opened_by_id, opened_at, outcome, decision_reason, decided_by_kind,
       decided_by_id, decided_at
  FROM dispute WHERE order_id = %(order_id)s ORDER BY opened_at, id
"""


@dataclass(frozen=True, slots=True)
class DisputeLine:
    """One case over an order. `claimed_minor` is what somebody says was sent, in fiat minor units."""

    reason: str
    words: str | None
    claimed_minor: int | None
    opened_by_kind: str
    opened_by_id: uuid.UUID | None
    opened_at: datetime
    outcome: str | None
    decision_reason: str | None
    decided_by_kind: str | None
    decided_by_id: uuid.UUID | None
    decided_at: datetime | None


def list_disputes_of(order_id: uuid.UUID) -> list[DisputeLine]:
    """All cases over an order that the caller has loaded as somebody who may see it, oldest first."""
    rows: list[dict[str, Any]] = hot(_OF_ORDER, {"order_id": order_id})
    return [DisputeLine(**row) for row in rows]
