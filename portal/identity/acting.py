"""Users as actors: who did it, in the audit log and in every verb."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from portal.core.actors import Actor, ActorKind
from portal.core.db import hot
from portal.identity.models import Role

_KINDS = {
    Role.ADMIN: ActorKind.ADMIN,
    Role.SUPPORT: ActorKind.SUPPORT,
    Role.LEAD: ActorKind.LEAD,
    Role.TRADER: ActorKind.TRADER,
    Role.MERCHANT: ActorKind.MERCHANT,
}
_ROLES = "SELECT role FROM user_role WHERE user_id = %(user)s"


def actor_of(user_id: uuid.UUID, roles: Collection[Role]) -> Actor:
    """The person as an actor, in the most powerful of their roles; the id is the user's."""
    kind = next((kind for role, kind in _KINDS.items() if role in roles), ActorKind.MERCHANT)
    return Actor(kind, user_id)


def actor_of_user(user_id: uuid.UUID) -> Actor:
    """As `actor_of`, with the roles that the person has now."""
    return actor_of(user_id, {Role(row["role"]) for row in hot(_ROLES, {"user": user_id})})
