"""Marking an error as handled: somebody has looked at it, and says what was done."""

from __future__ import annotations

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import hot
from portal.core.errors import Conflict, NotFound

_HANDLED = """
UPDATE error_report SET handled_at = clock_timestamp(), handled_by = %(by)s
WHERE id = %(id)s AND handled_at IS NULL RETURNING kind, count
"""
_KNOWN = "SELECT 1 FROM error_report WHERE id = %(id)s"


class AlreadyHandled(Conflict):
    code, title = "already_handled", "Somebody has handled this error meanwhile"


def mark_handled(report_id: int, reason: str, *, actor: Actor) -> None:
    """It is off the list of what waits until it comes again. Raises NotFound, AlreadyHandled. Needs transaction()."""
    marked = hot(_HANDLED, {"id": report_id, "by": actor.id})
    if not marked:
        if not hot(_KNOWN, {"id": report_id}):
            raise NotFound("There is no such error.")
        raise AlreadyHandled
    record_audit(
        "error.handled",
        actor=actor,
        subject=("error_report", str(report_id)),
        after={"kind": marked[0]["kind"], "count": marked[0]["count"]},
        reason=reason,
    )
