"""Reading what waits for a second person, and what became of it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from portal.approvals.kinds import Preview, Subject, get_kind
from portal.approvals.marks import seen_mark
from portal.approvals.models import ApprovalRequest, ApprovalState
from portal.core.db import db
from portal.core.errors import DomainError, NotFound


@dataclass(frozen=True, slots=True)
class ApprovalFilter:
    """Which requests: of these kinds, and of one state or of all. What is overdue does not count as waiting."""

    kinds: Collection[str]
    state: ApprovalState | None = None


def list_requests(
    narrow: ApprovalFilter, limit: int = 50, *, after: uuid.UUID | None = None, is_descending: bool = True
) -> Sequence[ApprovalRequest]:
    """The newest first unless told otherwise, behind the one of this id."""
    order = ApprovalRequest.id.desc() if is_descending else ApprovalRequest.id
    query = select(ApprovalRequest).where(ApprovalRequest.kind.in_(narrow.kinds)).order_by(order).limit(limit)
    if narrow.state is not None:
        query = query.where(ApprovalRequest.state == narrow.state.value)
    if narrow.state is ApprovalState.WAITING:
        query = query.where(ApprovalRequest.expires_at > func.now())
    if after is not None:
        query = query.where(ApprovalRequest.id < after if is_descending else ApprovalRequest.id > after)
    return db.session.scalars(query).all()


def get_request(request_id: uuid.UUID) -> ApprovalRequest:
    """What was proposed. Raises NotFound."""
    request = db.session.get(ApprovalRequest, request_id, populate_existing=True)
    if request is None:
        raise NotFound("There is no such request.")
    return request


def find_waiting(kinds: Collection[str], subject: Subject) -> ApprovalRequest | None:
    """What waits for a second person about this, if it has not expired: of these kinds, the oldest."""
    query = select(ApprovalRequest).where(
        ApprovalRequest.kind.in_(kinds),
        ApprovalRequest.subject_kind == subject.kind,
        ApprovalRequest.subject_id == subject.id,
        ApprovalRequest.state == ApprovalState.WAITING.value,
        ApprovalRequest.expires_at > func.now(),
    )
    return db.session.scalar(query.order_by(ApprovalRequest.id).limit(1))


@dataclass(frozen=True, slots=True)
class Look:
    """A waiting request as it would be carried out now. `preview` is None where its subject has moved since; `seen` is
    what a decision about it is bound to.
    """

    preview: Preview | None
    seen: bytes


def look_at(request: ApprovalRequest) -> Look:
    """What an approval would change, as things stand."""
    kind = get_kind(request.kind)
    try:
        payload = kind.read(request.payload)
        if kind.version(payload, False) != request.subject_version:
            return Look(None, b"")
        preview = kind.preview(payload)
    except DomainError:
        return Look(None, b"")
    return Look(preview, seen_mark(request, preview))
