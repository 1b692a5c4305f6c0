"""Which permissions a role has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from portal.core.permissions import Permission
from portal.identity.models import Role

_EVERYBODY = frozenset({Permission.ACCOUNT_VIEW})

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.ADMIN: _EVERYBODY,
    Role.SUPPORT: _EVERYBODY,
    Role.LEAD: _EVERYBODY,
    Role.MERCHANT: _EVERYBODY,
    Role.TRADER: _EVERYBODY
    | {
        Permission.TRADER_QUEUE_VIEW,
        Permission.TRADER_WORKING_SWITCH,
        Permission.PAYIN_CONFIRM,
        Permission.PAYIN_DECLINE,
        Permission.PAYOUT_PAY,
    },
}


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """All permissions that any of the roles has."""
    return frozenset().union(*(PERMISSIONS[role] for role in roles))
