"""Changing what somebody may do. What moves money or grants power takes two people: one asks, another approves
exactly that. A change holds from the next request on; whoever gets or loses a role signs in anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select

from portal.audit.service import record_audit
from portal.core.actors import Actor, Origin
from portal.core.db import after_commit, db
from portal.core.errors import Conflict, Forbidden, NotFound, ValidationFailed
from portal.core.ids import new_id
from portal.core.permissions import Permission
from portal.identity.access_changes import (
    Access,
    AccessChange,
    check_change,
    get_access,
    hash_of_change,
    preview_change,
)
from portal.identity.grant_models import PermissionGrant, PermissionRequest, RequestState
from portal.identity.models import Role, User, UserRole
from portal.identity.service import refuse_for_last_admin
from portal.identity.sessions import revoke_sessions_of
from portal.identity.token_families import forget_families

REQUEST_TTL = timedelta(days=7)
MAX_REASON = 500


class OneselfRefused(Forbidden):
    code, title = "not_for_oneself", "Nobody changes their own access"


def change_access(
    user_id: uuid.UUID, change: AccessChange, reason: str, *, actor: Actor, origin: Origin | None = None
) -> uuid.UUID | None:
    """Change somebody's roles, grants and denials, or ask for it: the id of the request, None when it is done.

    It is asked for when something is gained that needs two people. Raises OneselfRefused, ValidationFailed
    (change, reason), Conflict `last_admin` or `request_waiting`, NotFound. Locks the user. Needs transaction().
    """
    changed_by = _person(actor)
    if changed_by == user_id:
        raise OneselfRefused("Ask another administrator to change your access.")
    check_change(change)
    words = _reason(reason)
    access = get_access(user_id, lock=True)
    if preview_change(access, change).needs_two_people:
        return _ask(user_id, change, words, actor, origin)
    _apply(access, change, words, granted_by=changed_by, approved_by=None, actor=actor, origin=origin)
    return None


def _person(actor: Actor) -> uuid.UUID:
    if actor.id is None:
        raise ValueError("access is changed by a person")
    return actor.id


def _reason(reason: str) -> str:
    words = " ".join(reason.replace("\0", "").split())[:MAX_REASON]
    if not words:
        raise ValidationFailed.of("reason", "required", "Say why.")
    return words


def _ask(
    user_id: uuid.UUID, change: AccessChange, reason: str, actor: Actor, origin: Origin | None
) -> uuid.UUID:
    _expire_waiting(user_id)
    waiting = select(PermissionRequest.id).where(
        PermissionRequest.user_id == user_id, PermissionRequest.state == RequestState.WAITING.value
    )
    if db.session.scalar(waiting) is not None:
        raise Conflict("Another change of this person waits for approval.", code="request_waiting")
    payload = change.payload()
    request = PermissionRequest(
        id=new_id(),
        user_id=user_id,
        payload=payload,
        payload_hash=hash_of_change(user_id, payload),
        reason=reason,
        requested_by=_person(actor),
        expires_at=datetime.now(UTC) + REQUEST_TTL,
    )
    db.session.add(request)
    db.session.flush()
    record_audit(
        "access.requested",
        actor=actor,
        subject=("user", user_id),
        after=payload | {"request": request.id},
        reason=reason,
        origin=origin,
    )
    return request.id


def _expire_waiting(user_id: uuid.UUID) -> None:
    """What nobody decided in time makes room; it counts as withdrawn by who asked."""
    query = select(PermissionRequest).where(
        PermissionRequest.user_id == user_id,
        PermissionRequest.state == RequestState.WAITING.value,
        PermissionRequest.expires_at <= func.now(),
    )
    for stale in db.session.scalars(query.with_for_update()):
        _settle(stale, RequestState.WITHDRAWN, stale.requested_by)
    db.session.flush()


def _settle(request: PermissionRequest, state: RequestState, by: uuid.UUID) -> None:
    request.state, request.decided_by, request.decided_at = state.value, by, func.clock_timestamp()


def decide_request(
    request_id: uuid.UUID,
    seen_hash: bytes,
    *,
    is_approved: bool,
    actor: Actor,
    reason: str | None = None,
    origin: Origin | None = None,
) -> None:
    """Approve or refuse what another asked, exactly as the decider saw it (`seen_hash`). Needs transaction().

    Raises OneselfRefused for who asked and whom it is about, Conflict when it was decided, has expired or is
    not what was seen, `last_admin`, NotFound. Locks the request and the user.
    """
    request = _locked(request_id)
    decider = _person(actor)
    if decider in {request.requested_by, request.user_id}:
        raise OneselfRefused("Another person must decide this.")
    _refuse_unless_waiting(request)
    if seen_hash != request.payload_hash or seen_hash != hash_of_change(request.user_id, request.payload):
        raise Conflict("This is not what was asked for. Reload the page.", code="request_changed")
    _settle(request, RequestState.APPROVED if is_approved else RequestState.REFUSED, decider)
    db.session.flush()
    record_audit(
        "access.approved" if is_approved else "access.refused",
        actor=actor,
        subject=("user", request.user_id),
        after={"request": request.id, "requested_by": request.requested_by},
        reason=reason,
        origin=origin,
    )
    if is_approved:
        change, access = AccessChange.from_payload(request.payload), get_access(request.user_id, lock=True)
        by = {"granted_by": request.requested_by, "approved_by": decider}
        _apply(access, change, request.reason, **by, actor=actor, origin=origin)


def withdraw_request(request_id: uuid.UUID, *, actor: Actor, origin: Origin | None = None) -> None:
    """Take back what one asked for. Raises NotFound for what another asked, Conflict. Needs transaction()."""
    request = _locked(request_id)
    if request.requested_by != _person(actor):
        raise NotFound("There is no such request.")
    _refuse_unless_waiting(request)
    _settle(request, RequestState.WITHDRAWN, request.requested_by)
    db.session.flush()
    record_audit("access.withdrawn", actor=actor, subject=("user", request.user_id), origin=origin)


def _locked(request_id: uuid.UUID) -> PermissionRequest:
    query = select(PermissionRequest).where(PermissionRequest.id == request_id).with_for_update()
    request = db.session.scalar(query.execution_options(populate_existing=True))
    if request is None:
        raise NotFound("There is no such request.")
    return request


def _refuse_unless_waiting(request: PermissionRequest) -> None:
    if request.state != RequestState.WAITING.value:
        raise Conflict("This has been decided already.", code="request_decided")
    if request.expires_at <= datetime.now(UTC):
        raise Conflict("This request has expired. It has to be asked for again.", code="request_expired")


def _apply(
    access: Access,
    change: AccessChange,
    reason: str,
    *,
    granted_by: uuid.UUID,
    approved_by: uuid.UUID | None,
    actor: Actor,
    origin: Origin | None,
) -> None:
    if Role.ADMIN in change.remove_roles & access.roles:
        refuse_for_last_admin(access.user_id)
    touched = [*change.grant, *change.deny, *change.clear]
    db.session.execute(
        delete(PermissionGrant).where(
            PermissionGrant.user_id == access.user_id, PermissionGrant.permission.in_(touched)
        )
    )
    rows: list[tuple[Permission, str | None]] = [(p, reach.value) for p, reach in change.grant.items()]
    rows += [(permission, None) for permission in change.deny]
    for permission, reach in rows:
        db.session.add(
            PermissionGrant(
                user_id=access.user_id,
                permission=permission.value,
                reach=reach,
                is_denied=reach is None,
                reason=reason,
                granted_by=granted_by,
                approved_by=approved_by,
            )
        )
    _change_roles(access, change)
    db.session.flush()
    after_commit(forget_families)
    before, after = _described(access), _described(access.after(change))
    subject = ("user", access.user_id)
    record_audit(
        "access.changed",
        actor=actor,
        subject=subject,
        before=before,
        after=after,
        reason=reason,
        origin=origin,
    )


def _change_roles(access: Access, change: AccessChange) -> None:
    added, removed = change.add_roles - access.roles, change.remove_roles & access.roles
    if not added and not removed:
        return
    for role in added:
        db.session.add(UserRole(user_id=access.user_id, role=role.value))
    db.session.execute(
        delete(UserRole).where(UserRole.user_id == access.user_id, UserRole.role.in_(sorted(removed)))
    )
    db.session.flush()
    user = db.session.get(User, access.user_id)
    if user is not None:
        db.session.refresh(user, ["roles"])
    revoke_sessions_of(access.user_id)


def _described(access: Access) -> dict[str, Any]:
    return {
        "roles": sorted(access.roles),
        "grants": {grant.permission.value: grant.reach or "denied" for grant in sorted(access.grants)},
    }


def get_request(request_id: uuid.UUID) -> PermissionRequest:
    """What was asked. Raises NotFound."""
    request = db.session.get(PermissionRequest, request_id)
    if request is None:
        raise NotFound("There is no such request.")
    return request


def list_waiting_requests(limit: int = 100) -> Sequence[PermissionRequest]:
    """What waits for a second person and has not expired, the oldest first."""
    query = select(PermissionRequest).where(
        PermissionRequest.state == RequestState.WAITING.value, PermissionRequest.expires_at > func.now()
    )
    return db.session.scalars(query.order_by(PermissionRequest.id).limit(limit)).all()


def find_waiting_request(user_id: uuid.UUID) -> PermissionRequest | None:
    """What was asked for this person and waits for a second person, if it has not expired."""
    query = select(PermissionRequest).where(
        PermissionRequest.user_id == user_id,
        PermissionRequest.state == RequestState.WAITING.value,
        PermissionRequest.expires_at > func.now(),
    )
    return db.session.scalar(query)


def list_grants(user_id: uuid.UUID) -> Sequence[PermissionGrant]:
    """Grants and denials of a person with their reasons and givers, the newest first."""
    query = select(PermissionGrant).where(PermissionGrant.user_id == user_id)
    return db.session.scalars(query.order_by(PermissionGrant.created_at.desc())).all()
