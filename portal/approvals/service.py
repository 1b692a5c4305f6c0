"""Proposing what takes two people, deciding about it, and taking it back.

Order of locks: the request, the people, what it is about. Whoever proposes waits for no request while holding its subject.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Select, func, select

from portal.approvals.errors import (
    OneIsEnough,
    OneselfRefused,
    ProposerMayNot,
    RequestChanged,
    RequestDecided,
    RequestExpired,
    RequestForged,
    RequestStale,
    RequestWaiting,
    TooManyProposals,
)
from portal.approvals.kinds import Approved, Kind, Payload, Subject, get_kind
from portal.approvals.marks import hash_of, is_genuine, mac_of, seen_mark
from portal.approvals.models import ApprovalRequest, ApprovalState
from portal.approvals.telling import tell_deciders, tell_no_more
from portal.audit.service import record_audit
from portal.core.actors import SYSTEM, Actor
from portal.core.db import db, run_in_transaction
from portal.core.errors import DomainError, NotFound
from portal.core.ids import new_id
from portal.core.permissions import MissingPermission
from portal.core.text_rules import reason_of
from portal.identity.access.standing import holds_for_all, keep_standing

log = logging.getLogger(__name__)
P = TypeVar("P", bound=Payload)

# The setting of how long a request waits begins with it; who proposes gives what is set.
LIFE = timedelta(hours=72)
# Each is a bell and a letter for all who may decide.
MOST_AN_HOUR = 30
_ENDED = {
    ApprovalState.APPROVED: "approval.approved",
    ApprovalState.REFUSED: "approval.refused",
    ApprovalState.WITHDRAWN: "approval.withdrawn",
    ApprovalState.EXPIRED: "approval.expired",
    ApprovalState.STALE: "approval.stale",
}


def propose(
    kind: Kind[P], payload: P, reason: str, *, actor: Actor, life: timedelta = LIFE
) -> ApprovalRequest:
    """Propose something that another person has to approve, and tell those who may; once, however often the same
    person sends the same. Needs transaction().

    Raises MissingPermission, OneselfRefused, RequestWaiting, TooManyProposals, OneIsEnough, ValidationFailed (reason), and what the
    kind's check raises. Locks what it is about.
    """
    proposer, words = _person(actor), reason_of(reason)
    if proposer not in keep_standing([proposer]) or not holds_for_all(proposer, kind.may_propose):
        raise MissingPermission(kind.may_propose)
    subject = kind.subject(payload)
    if kind.is_own(subject, proposer):
        raise OneselfRefused("Another person has to propose this.")
    version = kind.version(payload, True)
    kind.check(payload, actor)
    if not kind.needs_two(payload):
        raise OneIsEnough()
    _end_overdue_and_stale(kind, subject, version)
    if (same := _waiting_for_the_same(kind, subject, payload, proposer)) is not None:
        return same
    _refuse_a_flood(proposer)
    request = _written(kind, payload, subject, version, words, proposer, life)
    record_audit(
        "approval.requested",
        actor=actor,
        subject=(subject.kind, subject.id),
        after={"request": request.id, "kind": kind.name, **request.payload},
        reason=words,
    )
    tell_deciders(request, kind, payload)
    return request


def _person(actor: Actor) -> uuid.UUID:
    if actor.id is None:
        raise ValueError("a person proposes, and a person decides")
    return actor.id


def _written(
    kind: Kind[P], payload: P, subject: Subject, version: str, reason: str, by: uuid.UUID, life: timedelta
) -> ApprovalRequest:
    stored: Mapping[str, Any] = payload.model_dump(mode="json")
    now = db.session.execute(select(func.now())).scalar_one()
    request = ApprovalRequest(
        id=new_id(),
        kind=kind.name,
        subject_kind=subject.kind,
        subject_id=subject.id,
        subject_version=version,
        payload=stored,
        payload_hash=hash_of(kind.name, subject, stored),
        reason=reason,
        proposed_by=by,
        created_at=now,
        expires_at=now + life,
        state=ApprovalState.WAITING.value,
    )
    request.mac = mac_of(request)
    db.session.add(request)
    db.session.flush()
    return request


def end_stale_requests(kind: Kind[P], payload: P) -> None:
    """End what waits about a subject that the caller has just changed: nobody may approve it when the subject comes
    back to how it was. Needs transaction(), and the subject locked.
    """
    _end_overdue_and_stale(kind, kind.subject(payload), kind.version(payload, True))


def _waiting_about(kind: Kind[Any], subject: Subject) -> Select[ApprovalRequest]:
    return select(ApprovalRequest).where(
        ApprovalRequest.kind == kind.name,
        ApprovalRequest.subject_kind == subject.kind,
        ApprovalRequest.subject_id == subject.id,
        ApprovalRequest.state == ApprovalState.WAITING.value,
    )


def _end_overdue_and_stale(kind: Kind[Any], subject: Subject, version: str) -> None:
    """What nobody decided in time, or what the subject has left behind, ends here."""
    # Somebody who decides about it holds the request and waits for the subject, which we hold.
    free = _waiting_about(kind, subject).with_for_update(skip_locked=True)
    free = free.execution_options(populate_existing=True)
    for request in db.session.scalars(free).all():
        if _is_overdue(request):
            _end(request, ApprovalState.EXPIRED, actor=SYSTEM)
        elif request.subject_version != version:
            _end(request, ApprovalState.STALE, actor=SYSTEM)


def _waiting_for_the_same(
    kind: Kind[P], subject: Subject, payload: P, proposer: uuid.UUID
) -> ApprovalRequest | None:
    """The same proposal of the same person, sent once more. Raises RequestWaiting for any other that waits."""
    waiting = db.session.scalar(_waiting_about(kind, subject).limit(1))
    if waiting is None:
        return None
    hashed = hash_of(kind.name, subject, payload.model_dump(mode="json"))
    if (waiting.proposed_by, bytes(waiting.payload_hash)) != (proposer, hashed):
        raise RequestWaiting("Something about this waits for approval already.")
    return waiting


def _refuse_a_flood(proposer: uuid.UUID) -> None:
    """Raises TooManyProposals for who has proposed so much of late that it is a flood of letters."""
    of_late = select(func.count()).where(
        ApprovalRequest.proposed_by == proposer, ApprovalRequest.created_at > func.now() - timedelta(hours=1)
    )
    if int(db.session.scalar(of_late) or 0) >= MOST_AN_HOUR:
        raise TooManyProposals()


def decide_now(
    request_id: uuid.UUID, seen: bytes, *, is_approved: bool, actor: Actor, reason: str | None = None
) -> None:
    """`decide` as a transaction of its own; raises RequestStale or RequestExpired once that is written down."""
    ended = run_in_transaction(
        lambda: decide(request_id, seen, is_approved=is_approved, actor=actor, reason=reason)
    )
    if ended is ApprovalState.STALE:
        raise RequestStale()
    if ended is ApprovalState.EXPIRED:
        raise RequestExpired()


def decide(
    request_id: uuid.UUID, seen: bytes, *, is_approved: bool, actor: Actor, reason: str | None = None
) -> ApprovalState:
    """Approve or refuse what another proposed, exactly as the decider saw it (`seen_mark`). Needs transaction().

    What has expired or moved is written down as such, and its state returned: nothing is done then. Raises
    OneselfRefused for who proposed and whose own it is, MissingPermission, RequestDecided, ValidationFailed for a
    refusal without a reason, and for an approval RequestForged, RequestChanged, ProposerMayNot and what the kind
    refuses. Locks the request, both people and what it is about.
    """
    request, decider = _locked(request_id), _person(actor)
    kind = get_kind(request.kind)
    subject = _subject_of(request)
    if decider == request.proposed_by or kind.is_own(subject, decider):
        raise OneselfRefused("Another person must decide this.")
    standing = keep_standing([decider, request.proposed_by])
    if decider not in standing or not holds_for_all(decider, kind.may_decide):
        raise MissingPermission(kind.may_decide)
    _refuse_unless_waiting(request)
    if _is_overdue(request):
        return _end(request, ApprovalState.EXPIRED, actor=SYSTEM)
    if not is_approved:
        return _end(request, ApprovalState.REFUSED, actor=actor, reason=reason_of(reason))
    if not is_genuine(request):
        log.error("a request is not as the house wrote it", extra={"request": str(request.id)})
        raise RequestForged()
    proposer = request.proposed_by
    may_still = proposer in standing and holds_for_all(proposer, kind.may_propose)
    if not may_still or kind.is_own(subject, proposer):
        raise ProposerMayNot()
    return _approve(request, kind, seen, decider, actor, reason)


def _approve(
    request: ApprovalRequest,
    kind: Kind[Any],
    seen: bytes,
    decider: uuid.UUID,
    actor: Actor,
    reason: str | None,
) -> ApprovalState:
    payload = kind.read(request.payload)
    if kind.version(payload, True) != request.subject_version:
        return _end(request, ApprovalState.STALE, actor=SYSTEM)
    if seen != seen_mark(request, kind.preview(payload)):
        raise RequestChanged("This is not what you saw. Look at it again.")
    kind.check(payload, actor)
    words = reason_of(reason, least=0) or None
    ended = _end(request, ApprovalState.APPROVED, actor=actor, reason=words)
    kind.apply(payload, Approved(request.id, request.reason, request.proposed_by, decider, actor))
    return ended


def withdraw(request_id: uuid.UUID, *, actor: Actor) -> None:
    """Take back what one proposed; once more it changes nothing. Needs transaction().

    Raises NotFound for what another proposed, RequestDecided, RequestStale, RequestExpired.
    """
    request = _locked(request_id)
    if request.proposed_by != _person(actor):
        raise NotFound("There is no such request.")
    if request.state == ApprovalState.WITHDRAWN.value:
        return
    _refuse_unless_waiting(request)
    _end(request, ApprovalState.WITHDRAWN, actor=actor)


def end_what_has_passed(limit: int = 500) -> int:
    """End what nobody decided in time, and what its subject has left behind; how many. Needs transaction().

    Looks at the oldest `limit` that wait.
    """
    query = select(ApprovalRequest).where(ApprovalRequest.state == ApprovalState.WAITING.value)
    query = query.order_by(ApprovalRequest.id).limit(limit).with_for_update(skip_locked=True)
    ended = 0
    for request in db.session.scalars(query.execution_options(populate_existing=True)).all():
        if _is_overdue(request):
            _end(request, ApprovalState.EXPIRED, actor=SYSTEM)
        elif _has_subject_changed(request):
            _end(request, ApprovalState.STALE, actor=SYSTEM)
        else:
            continue
        ended += 1
    return ended


def _has_subject_changed(request: ApprovalRequest) -> bool:
    """Looked at without a lock. An order never comes back to a version; whoever changes access alone ends this at once."""
    try:
        kind = get_kind(request.kind)
        return kind.version(kind.read(request.payload), False) != request.subject_version
    except DomainError:
        return False  # of another release: it waits for its end


def _locked(request_id: uuid.UUID) -> ApprovalRequest:
    query = select(ApprovalRequest).where(ApprovalRequest.id == request_id).with_for_update()
    request = db.session.scalar(query.execution_options(populate_existing=True))
    if request is None:
        raise NotFound("There is no such request.")
    return request


def _subject_of(request: ApprovalRequest) -> Subject:
    return Subject(request.subject_kind, request.subject_id)


def _refuse_unless_waiting(request: ApprovalRequest) -> None:
    """Raises RequestStale or RequestExpired where nobody has decided it, else RequestDecided."""
    if request.state == ApprovalState.STALE.value:
        raise RequestStale()
    if request.state == ApprovalState.EXPIRED.value:
        raise RequestExpired()
    if request.state != ApprovalState.WAITING.value:
        raise RequestDecided("This has been decided already.")


def _is_overdue(request: ApprovalRequest) -> bool:
    """By the database's clock: the CHECK of the row asks the same."""
    now = db.session.execute(select(func.clock_timestamp())).scalar_one()
    return bool(request.expires_at <= now)


def _end(
    request: ApprovalRequest, state: ApprovalState, *, actor: Actor, reason: str | None = None
) -> ApprovalState:
    """The end of a locked request, written down; the bells stop calling."""
    request.state, request.ended_at = state.value, func.clock_timestamp()
    if state in {ApprovalState.APPROVED, ApprovalState.REFUSED}:
        request.decided_by, request.decision_reason = actor.id, reason
    if state is ApprovalState.APPROVED:  # in time when it was asked, and the CHECK asks a moment later
        request.ended_at = func.least(func.clock_timestamp(), request.expires_at)
    db.session.flush()
    record_audit(
        _ENDED[state],
        actor=actor,
        subject=(request.subject_kind, request.subject_id),
        after={"request": request.id, "kind": request.kind, "proposed_by": request.proposed_by},
        reason=reason,
    )
    tell_no_more(request)
    return state
