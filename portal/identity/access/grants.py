"""Changing what somebody may do, once it is clear who may: a change holds from the next request on, and whoever gets or
loses a role signs in anew. Who asks for a change, and who has to agree, is portal.approvals.access.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import after_commit, db
from portal.core.errors import Conflict
from portal.core.permissions import Permission
from portal.identity.access.changes import Access, AccessChange, preview_change
from portal.identity.access.models import PermissionGrant
from portal.identity.models import Role, User, UserRole
from portal.identity.service import refuse_for_last_admin
from portal.identity.tokens.sessions import revoke_sessions_of
from portal.identity.tokens.token_families import forget_families


def apply_change(
    access: Access,
    change: AccessChange,
    reason: str,
    *,
    granted_by: uuid.UUID,
    approved_by: uuid.UUID | None,
    actor: Actor,
) -> None:
    """Carry out a change of a locked person's access (get_access). Needs transaction().

    Raises Conflict `needs_two_people` for what nobody gives alone, without who approved it, and `last_admin`.
    """
    if approved_by is None and preview_change(access, change).needs_two_people:
        raise Conflict("Another person has to approve this.", code="needs_two_people")
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


def list_grants(user_id: uuid.UUID) -> Sequence[PermissionGrant]:
    """Grants and denials of a person with their reasons and givers, the newest first."""
    query = select(PermissionGrant).where(PermissionGrant.user_id == user_id)
    return db.session.scalars(query.order_by(PermissionGrant.created_at.desc())).all()
