"""How far from an order's amount a store takes what a trader alone says that came."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import hot
from portal.core.errors import NotFound, ValidationFailed
from portal.core.money import BPS, format_amount
from portal.core.text_rules import reason_of
from portal.reference.queries import get_currency

# Within it one of the staff completes above an order's amount alone: a wide one would be the way round the second person.
MOST_BPS = 500
MOST_UNITS = 100  # of settlement currency


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A difference is within it when it is within both: basis points of the amount, settlement minor units."""

    bps: int
    minor: int

    def holds(self, amount_minor: int, difference_minor: int, settlement_difference_minor: int) -> bool:
        """Whether a difference of fiat minor units, worth so much in settlement currency, is within it."""
        return difference_minor * BPS <= self.bps * amount_minor and settlement_difference_minor <= self.minor


_READ = "SELECT tolerance_bps AS bps, tolerance_minor AS minor FROM store WHERE id = %(id)s"
_CURRENCY = "SELECT settlement_currency FROM store WHERE id = %(id)s"
_ALL = "SELECT id, tolerance_bps AS bps, tolerance_minor AS minor, settlement_currency AS currency FROM store ORDER BY id"
_SET = "UPDATE store SET tolerance_bps = %(bps)s, tolerance_minor = %(minor)s WHERE id = %(id)s"


def tolerance_of(store_id: uuid.UUID, *, lock: bool = False) -> Tolerance:
    """As the store's row says now. Raises NotFound."""
    rows = hot(_READ + (" FOR NO KEY UPDATE" if lock else ""), {"id": store_id})
    if not rows:
        raise NotFound("There is no such store.")
    return Tolerance(**rows[0])


def list_too_wide() -> list[uuid.UUID]:
    """Stores with more than can be set now, from before there was a most. It goes on holding until it is lowered."""
    return [
        row["id"] for row in hot(_ALL) if row["bps"] > MOST_BPS or row["minor"] > _most_minor(row["currency"])
    ]


def _most_minor(currency: str) -> int:
    unit: int = 10 ** get_currency(currency).exponent
    return MOST_UNITS * unit


def _check(new: Tolerance, currency: str) -> None:
    if not 0 <= new.bps <= MOST_BPS:
        raise ValidationFailed.of("bps", "out_of_range", f"Give 0 to {MOST_BPS} basis points.")
    most_minor = _most_minor(currency)
    if not 0 <= new.minor <= most_minor:
        most = f"{format_amount(most_minor, get_currency(currency).exponent)} {currency}"
        raise ValidationFailed.of("amount", "out_of_range", f"Give at most {most}.")


def set_tolerance(store_id: uuid.UUID, new: Tolerance, reason: str | None, *, actor: Actor) -> Tolerance:
    """Set both limits of a store; what they were before. Locks the store. Needs transaction().

    Raises NotFound, ValidationFailed beyond MOST_BPS or MOST_UNITS or for less than nothing, and for the reason.
    """
    words, before = reason_of(reason), tolerance_of(store_id, lock=True)
    _check(new, hot(_CURRENCY, {"id": store_id})[0]["settlement_currency"])
    hot(_SET, {"id": store_id, "bps": new.bps, "minor": new.minor})
    record_audit(
        "store.tolerance_set",
        actor=actor,
        subject=("store", store_id),
        before={"bps": before.bps, "minor": before.minor},
        after={"bps": new.bps, "minor": new.minor},
        reason=words,
    )
    return before
