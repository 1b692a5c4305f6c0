"""Who holds a permission over everybody's things at this moment, and keeps it until a commit."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from portal.core.db import hot
from portal.core.permissions import Permission, Reach
from portal.identity.access.changes import get_access
from portal.identity.roles import PRESETS

# In one order, so that two who decide about each other's proposals don't wait for each other for ever.
_LOCK = "SELECT id, is_active FROM users WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR SHARE"

_HOLDERS = """
SELECT u.id FROM users u
 WHERE u.is_active
   AND (EXISTS (SELECT 1 FROM user_role r WHERE r.user_id = u.id AND r.role = ANY(%(roles)s::text[]))
        OR EXISTS (SELECT 1 FROM permission_grant g
                    WHERE g.user_id = u.id AND g.permission = %(permission)s AND g.reach = 'all'))
   AND NOT EXISTS (SELECT 1 FROM permission_grant g
                    WHERE g.user_id = u.id AND g.permission = %(permission)s AND g.is_denied)
 ORDER BY u.id
"""


def keep_standing(user_ids: Collection[uuid.UUID]) -> frozenset[uuid.UUID]:
    """Those of them whose login is on. Nobody changes their access, or switches them off, until the commit."""
    rows = hot(_LOCK, {"ids": sorted(set(user_ids))})
    return frozenset(row["id"] for row in rows if row["is_active"])


def holds_for_all(user_id: uuid.UUID, permission: Permission) -> bool:
    """Whether they hold the permission over everybody's things. Whether they may sign in is asked elsewhere."""
    return get_access(user_id).permissions.get(permission) is Reach.ALL


def list_holders_for_all(permission: Permission) -> list[uuid.UUID]:
    """Everybody active who holds the permission over everybody's things."""
    roles = [role.value for role, preset in PRESETS.items() if preset.get(permission) is Reach.ALL]
    rows = hot(_HOLDERS, {"roles": roles, "permission": permission.value})
    return [row["id"] for row in rows]
