"""People with roles, for tests of access."""

from __future__ import annotations

import uuid

from portal.core.actors import Actor
from portal.core.db import db
from portal.identity.acting import actor_of
from portal.identity.models import MemberRole, Role, User, UserRole
from portal.identity.people.models import MerchantMember


def person(*roles: Role, name: str = "Pat") -> User:
    """A login that nobody can sign in to by password. Needs transaction()."""
    user = User(email=f"{name.lower()}-{uuid.uuid4().hex}@example.test", name=name)
    user.roles = [UserRole(role=role.value) for role in roles]
    db.session.add(user)
    db.session.flush()
    return user


def member(merchant_id: uuid.UUID, role: MemberRole) -> User:
    """Somebody who works for the merchant, in all of its stores. Needs transaction()."""
    user = person(Role.MERCHANT, name="Mia")
    db.session.add(MerchantMember(merchant_id=merchant_id, user_id=user.id, role=role.value))
    db.session.flush()
    return user


def acting(user: User) -> Actor:
    return actor_of(user.id, {Role(held.role) for held in user.roles})
