"""How far from an order's amount a store takes what a trader alone says that came."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import hot
from portal.core.errors import NotFound, ValidationFailed
from portal.core.money import BPS, MAX_MINOR
from portal.core.text_rules import reason_of


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A difference is within it when it is within both: basis points of the amount, settlement minor units."""

    bps: int
    minor: int

    def holds(self, amount_minor: int, difference_minor: int, settlement_difference_minor: int) -> bool:
        """Whether a difference of fiat minor units, worth so much in settlement currency, is within it."""
        return difference_minor * BPS <= self.bps * amount_minor and settlement_difference_minor <= self.minor


_READ = "SELECT tolerance_bps AS bps, tolerance_minor AS minor FROM store WHERE id = %(id)s"
_SET = "UPDATE store SET tolerance_bps = %(bps)s, tolerance_minor = %(minor)s WHERE id = %(id)s"


def tolerance_of(store_id: uuid.UUID, *, lock: bool = False) -> Tolerance:
    """As the store's row says now. Raises NotFound."""
    rows = hot(_READ + (" FOR NO KEY UPDATE" if lock else ""), {"id": store_id})
    if not rows:
        raise NotFound("There is no such store.")
    return Tolerance(**rows[0])


def set_tolerance(store_id: uuid.UUID, new: Tolerance, reason: str | None, *, actor: Actor) -> Tolerance:
    """Set both limits of a store; what they were before. Locks the store. Needs transaction().

    Raises NotFound, ValidationFailed for more than all of an amount or less than nothing, and for the reason.
    """
    if not 0 <= new.bps <= BPS:
        raise ValidationFailed.of("bps", "out_of_range", "Give 0 to 10000 basis points.")
    if not 0 <= new.minor <= MAX_MINOR:
        raise ValidationFailed.of("amount", "out_of_range", "Give an amount of settlement currency.")
    words, before = reason_of(reason), tolerance_of(store_id, lock=True)
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
