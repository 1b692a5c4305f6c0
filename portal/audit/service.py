"""Writing down who did what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from portal.audit.masking import masked
from portal.audit.models import AuditEntry
from portal.core.actors import Actor, Origin
from portal.core.db import db

_NOWHERE = Origin()
_MAX_REASON = 1000
_MAX_USER_AGENT = 300


def record_audit(
    action: str,
    *,
    actor: Actor,
    subject: tuple[str, UUID | str] | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
    origin: Origin | None = None,
) -> None:
    """Write into the audit log, in the caller's transaction: what is undone was never done.

    `action` is `noun.verb` in the past (`api_key.issued`), `subject` a kind and an id. Of `before` and
    `after` only the fields that differ are kept, with secrets hidden and numbers masked. Raises TypeError
    for a value the log cannot hold. Without `origin` the actor's own counts. Needs transaction(). Locks nothing:
    a sealer chains the entries later.
    """
    was, became = _difference(before, after)
    where = origin or actor.origin or _NOWHERE
    db.session.add(
        AuditEntry(
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            action=action,
            subject_kind=subject[0] if subject else None,
            subject_id=str(subject[1]) if subject else None,
            before=was,
            after=became,
            reason=_text(reason, _MAX_REASON),
            ip=where.ip,
            user_agent=_text(where.user_agent, _MAX_USER_AGENT),
            request_id=where.request_id,
            session_id=where.session_id,
        )
    )
    db.session.flush()


def _difference(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Both sides masked. Compared before they are masked: a new secret is a change that shows as such."""
    if before is None or after is None:
        return masked(before) if before else None, masked(after) if after else None
    same = {name for name in before.keys() & after.keys() if before[name] == after[name]}
    was = {name: value for name, value in before.items() if name not in same}
    became = {name: value for name, value in after.items() if name not in same}
    return masked(was), masked(became)


def _text(text: str | None, longest: int) -> str | None:
    return (text or "").replace("\0", "").strip()[:longest] or None
