"""Whom something concerns: people who may sign in, by what they are."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from portal.core.db import hot
from portal.identity.models import MemberRole, Role

_HOLDERS = """
SELECT u.id FROM users u JOIN user_role r ON r.user_id = u.id
WHERE r.role = ANY(%(roles)s::text[]) AND u.is_active
GROUP BY u.id ORDER BY u.id
"""

_MEMBERS = """
SELECT m.user_id FROM merchant_member m JOIN users u ON u.id = m.user_id AND u.is_active
WHERE m.merchant_id = %(merchant)s AND m.role = ANY(%(roles)s::text[])
  AND (m.has_all_stores OR EXISTS (
      SELECT 1 FROM merchant_member_store s
      WHERE s.merchant_id = m.merchant_id AND s.user_id = m.user_id AND s.store_id = %(store)s))
ORDER BY m.user_id
"""

_NAMES = "SELECT id, name FROM users WHERE id = ANY(%(ids)s::uuid[])"


def list_holders(*roles: Role) -> list[uuid.UUID]:
    """Everybody active with one of these roles."""
    return [row["id"] for row in hot(_HOLDERS, {"roles": [role.value for role in roles]})]


def list_members_of_store(
    merchant_id: uuid.UUID, store_id: uuid.UUID, roles: Collection[MemberRole]
) -> list[uuid.UUID]:
    """The merchant's active members in these roles who work in this store."""
    values = {"merchant": merchant_id, "store": store_id, "roles": [role.value for role in roles]}
    return [row["user_id"] for row in hot(_MEMBERS, values)]


def names_of(user_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """What these people are called."""
    return {row["id"]: row["name"] for row in hot(_NAMES, {"ids": list(user_ids)})}
