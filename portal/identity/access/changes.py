"""A change of what one person may do: what it consists of, what follows from it, and its exact written form."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.core.db import hot
from portal.core.errors import NotFound, ValidationFailed
from portal.core.permissions import Permission, Reach
from portal.identity.models import MemberRole, Role
from portal.identity.queries import read_grants
from portal.identity.roles import Grant, Holdings, effective_permissions, takes_two_people

Roles = frozenset[Role]


@dataclass(frozen=True, slots=True)
class AccessChange:
    """Roles to add and take away; permissions to grant with a reach, to deny, and to leave to the roles again."""

    add_roles: Roles = frozenset()
    remove_roles: Roles = frozenset()
    grant: Mapping[Permission, Reach] = field(default_factory=dict)
    deny: frozenset[Permission] = frozenset()
    clear: frozenset[Permission] = frozenset()

    def is_empty(self) -> bool:
        return not (self.add_roles or self.remove_roles or self.grant or self.deny or self.clear)

    def payload(self) -> dict[str, Any]:
        """The change as JSON, always in one order."""
        return {
            "add_roles": sorted(self.add_roles),
            "remove_roles": sorted(self.remove_roles),
            "grant": {permission.value: reach.value for permission, reach in sorted(self.grant.items())},
            "deny": sorted(self.deny),
            "clear": sorted(self.clear),
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> AccessChange:
        """Raises ValidationFailed for a role or permission that does not exist (any more)."""
        try:
            return cls(
                frozenset(Role(name) for name in payload["add_roles"]),
                frozenset(Role(name) for name in payload["remove_roles"]),
                {Permission(name): Reach(reach) for name, reach in payload["grant"].items()},
                frozenset(Permission(name) for name in payload["deny"]),
                frozenset(Permission(name) for name in payload["clear"]),
            )
        except (KeyError, ValueError):
            raise ValidationFailed.of(
                "change", "unknown", "It names a role or a permission that does not exist."
            ) from None


def hash_of_change(user_id: uuid.UUID, payload: Mapping[str, Any]) -> bytes:
    """What a form was shown of: SHA-256 over whose access and the whole change."""
    text = json.dumps([str(user_id), payload], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Access:
    """What one person has now: roles, roles at merchants, grants and denials, and what follows from them."""

    user_id: uuid.UUID
    roles: Roles
    member_roles: frozenset[MemberRole]
    grants: tuple[Grant, ...]

    @property
    def permissions(self) -> dict[Permission, Reach]:
        return effective_permissions(self.roles, self.member_roles, self.grants)

    def after(self, change: AccessChange) -> Access:
        """The same person once the change is in force."""
        touched = change.grant.keys() | change.deny | change.clear
        kept = tuple(grant for grant in self.grants if grant.permission not in touched)
        given = tuple(Grant(permission, reach) for permission, reach in change.grant.items())
        denied = tuple(Grant(permission, None) for permission in change.deny)
        roles = (self.roles - change.remove_roles) | change.add_roles
        return Access(self.user_id, roles, self.member_roles, kept + given + denied)


@dataclass(frozen=True, slots=True)
class AccessPreview:
    """What a change would do, before anybody does it."""

    before: Holdings
    after: Holdings
    gained: Holdings
    lost: Holdings
    needs_two_people: bool


_ACCESS = """
SELECT ARRAY(SELECT r.role FROM user_role r WHERE r.user_id = u.id) AS roles,
       ARRAY(SELECT DISTINCT m.role FROM merchant_member m WHERE m.user_id = u.id) AS member_roles,
       ARRAY(SELECT g.permission || ' ' || coalesce(g.reach, '') FROM permission_grant g WHERE g.user_id = u.id)
         AS grants
  FROM users u WHERE u.id = %(user)s
"""
_LOCK = "SELECT id FROM users WHERE id = %(user)s FOR NO KEY UPDATE"


def get_access(user_id: uuid.UUID, *, lock: bool = False) -> Access:
    """What somebody has now. Raises NotFound. With `lock`, nobody else changes it until the commit."""
    if lock:
        hot(_LOCK, {"user": user_id})
    rows = hot(_ACCESS, {"user": user_id})
    if not rows:
        raise NotFound("There is no such person.")
    row = rows[0]
    return Access(
        user_id,
        frozenset(Role(role) for role in row["roles"]),
        frozenset(MemberRole(role) for role in row["member_roles"]),
        read_grants(row["grants"]),
    )


def preview_change(access: Access, change: AccessChange) -> AccessPreview:
    """What the person would gain and lose, and whether a second person must agree.

    Gained is also what reaches further than before; lost, what reaches less far or is gone.
    """
    before, after = access.permissions, access.after(change).permissions
    gained = {p: reach for p, reach in after.items() if p not in before or reach > before[p]}
    lost = {p: reach for p, reach in before.items() if p not in after or after[p] < reach}
    # A role is more than its permissions: who may be the last administrator is asked by it.
    is_for_two = any(p.needs_two_people for p in gained) or any(
        takes_two_people(role) for role in change.add_roles - access.roles
    )
    return AccessPreview(before, after, gained, lost, is_for_two)


def check_change(change: AccessChange) -> None:
    """Raises ValidationFailed for a change that is empty or says two things about one permission."""
    named = [*change.grant, *change.deny, *change.clear]
    if change.is_empty():
        raise ValidationFailed.of("change", "empty", "Choose what to change.")
    if len(named) != len(set(named)) or change.add_roles & change.remove_roles:
        raise ValidationFailed.of(
            "change", "contradiction", "It says two things about one permission or role."
        )
