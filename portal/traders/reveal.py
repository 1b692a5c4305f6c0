"""Seeing a masked number in full: for a reason, and never unseen."""

from __future__ import annotations

import uuid

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.text_rules import reason_of
from portal.traders.queries import requisite_number

MIN_REASON = 5


def reveal_number(requisite_id: uuid.UUID, reason: str, *, actor: Actor) -> str:
    """The requisite's full number; who saw it, when, from where and why is in the audit log. Never log it.

    Whether the actor may see this requisite's number at all (`number:reveal` and its reach) is the caller's to
    ask. Raises NotFound, ValidationFailed (reason). Needs transaction(): no number without its entry.
    """
    words = reason_of(reason, least=MIN_REASON)
    number = requisite_number(requisite_id)
    record_audit(
        "number.revealed",
        actor=actor,
        subject=("requisite", requisite_id),
        after={"number": number},
        reason=words,
    )
    return number
