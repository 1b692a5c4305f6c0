"""The kind "access": a change of what somebody may do, where it gives what nobody gives alone.

It stands here because identity, whose it is, comes before this package.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from portal.approvals.errors import OneselfRefused
from portal.approvals.kinds import Approved, Kind, Line, Payload, Preview, Subject
from portal.approvals.service import LIFE, end_stale_requests, propose
from portal.core.actors import Actor
from portal.core.permissions import Permission, Reach
from portal.core.text_rules import reason_of
from portal.identity.access.changes import Access, AccessChange, check_change, get_access, preview_change
from portal.identity.access.grants import apply_change
from portal.identity.models import Role
from portal.identity.people.audience import names_of
from portal.identity.service import refuse_for_last_admin


class AccessPayload(Payload):
    """Whose access, and the change of it (AccessChange)."""

    user_id: uuid.UUID
    add_roles: tuple[Role, ...]
    remove_roles: tuple[Role, ...]
    grant: dict[Permission, Reach]
    deny: tuple[Permission, ...]
    clear: tuple[Permission, ...]

    @classmethod
    def of(cls, user_id: uuid.UUID, change: AccessChange) -> AccessPayload:
        return cls.model_validate({"user_id": user_id, **change.payload()})

    @property
    def change(self) -> AccessChange:
        return AccessChange.from_payload(self.model_dump(mode="json"))


def _subject(payload: AccessPayload) -> Subject:
    return Subject("user", str(payload.user_id))


def version_of(access: Access) -> str:
    """What somebody holds, as one short text: another one once anything of it has changed."""
    grants = sorted(
        f"{grant.permission.value} {grant.reach.value if grant.reach else ''}" for grant in access.grants
    )
    held = "|".join(",".join(part) for part in (sorted(access.roles), sorted(access.member_roles), grants))
    return hashlib.sha256(held.encode()).hexdigest()


def _version(payload: AccessPayload, lock: bool) -> str:
    return version_of(get_access(payload.user_id, lock=lock))


def _preview(payload: AccessPayload) -> Preview:
    seen = preview_change(get_access(payload.user_id), payload.change)
    touched = sorted(seen.gained.keys() | seen.lost.keys())
    return Preview(tuple(_line(permission, seen.before, seen.after) for permission in touched))


def _line(
    permission: Permission, before: Mapping[Permission, Reach], after: Mapping[Permission, Reach]
) -> Line:
    was, becomes = before.get(permission), after.get(permission)
    return Line(permission.value, was.value if was else None, becomes.value if becomes else None)


def _check(payload: AccessPayload, _actor: Actor) -> None:
    change = payload.change
    check_change(change)
    access = get_access(payload.user_id)
    if Role.ADMIN in change.remove_roles & access.roles:
        refuse_for_last_admin(payload.user_id)


def _needs_two(payload: AccessPayload) -> bool:
    return preview_change(get_access(payload.user_id), payload.change).needs_two_people


def _apply(payload: AccessPayload, approved: Approved) -> None:
    apply_change(
        get_access(payload.user_id, lock=True),
        payload.change,
        approved.reason,
        granted_by=approved.proposed_by,
        approved_by=approved.decided_by,
        actor=approved.actor,
    )


def _told(payload: AccessPayload) -> Mapping[str, str]:
    return {"subject": names_of([payload.user_id])[payload.user_id], "amount": ""}


ACCESS: Kind[Any] = Kind(
    name="access",
    payload=AccessPayload,
    may_propose=Permission.ACCESS_CHANGE,
    may_decide=Permission.ACCESS_APPROVE,
    moves_money=False,
    subject=_subject,
    version=_version,
    preview=_preview,
    check=_check,
    apply=_apply,
    told=_told,
    needs_two=_needs_two,
)


def change_access(
    user_id: uuid.UUID, change: AccessChange, reason: str, *, actor: Actor, life: timedelta = LIFE
) -> uuid.UUID | None:
    """Change somebody's roles, grants and denials, or propose it: the id of the request, None when it is done.

    It is proposed when something is gained that needs two people. Raises OneselfRefused, ValidationFailed
    (change, reason), Conflict `last_admin` or `request_waiting`, TooManyProposals, NotFound. Locks the user. Needs transaction().
    """
    if actor.id is None:
        raise ValueError("access is changed by a person")
    if actor.id == user_id:
        raise OneselfRefused("Ask another administrator to change your access.")
    check_change(change)
    words = reason_of(reason)
    access = get_access(user_id, lock=True)
    if preview_change(access, change).needs_two_people:
        return propose(ACCESS, AccessPayload.of(user_id, change), words, actor=actor, life=life).id
    apply_change(access, change, words, granted_by=actor.id, approved_by=None, actor=actor)
    end_stale_requests(ACCESS, AccessPayload.of(user_id, change))
    return None
