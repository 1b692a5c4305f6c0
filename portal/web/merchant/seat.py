"""In which stores the request's person works, and what they may do in each."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import cast

from flask import g
from flask_login import current_user

from portal.core.permissions import Permission
from portal.merchants.queries import Membership, list_memberships
from portal.reference.queries import default_settlement_currency


@dataclass(frozen=True, slots=True)
class Seat:
    memberships: tuple[Membership, ...]

    @property
    def stores(self) -> dict[uuid.UUID, str]:
        """Names by id, of all stores this person works in."""
        return {membership.store.id: membership.store.name for membership in self.memberships}

    def stores_for(self, permission: Permission) -> dict[uuid.UUID, str]:
        """Those in which they have the permission."""
        return {
            membership.store.id: membership.store.name
            for membership in self.memberships
            if permission in membership.permissions
        }

    @property
    def settlement_currency(self) -> str:
        if not self.memberships:
            return default_settlement_currency()
        return self.memberships[0].store.settlement_currency


def current_seat() -> Seat:
    """Read once a request."""
    if "merchant_seat" not in g:
        g.merchant_seat = Seat(tuple(list_memberships(current_user.id)))
    return cast("Seat", g.merchant_seat)
