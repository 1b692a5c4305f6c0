"""Which permissions a role has, and how far they reach: presets, changed in code alone.

What one person has beyond or short of their roles are grants and denials (portal.identity.access.grants).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from portal.core.permissions import Permission, Reach
from portal.identity.models import MemberRole, Role, Scope

Holdings = Mapping[Permission, Reach]


class Grant(NamedTuple):
    """What one person was given beyond their roles, or denied although a role has it (`reach` None)."""

    permission: Permission
    reach: Reach | None


def _own(*permissions: Permission) -> dict[Permission, Reach]:
    return dict.fromkeys(permissions, Reach.OWN)


_EVERYBODY = _own(Permission.ACCOUNT_VIEW)
_PROGRAMS = _own(Permission.TOKEN_VIEW, Permission.TOKEN_REVOKE)

PRESETS: Mapping[Role, Holdings] = {
    Role.TRADER: _EVERYBODY
    | _PROGRAMS
    | _own(
        Permission.TRADER_QUEUE_VIEW,
        Permission.TRADER_WORKING_SWITCH,
        Permission.REQUISITE_VIEW,
        Permission.REQUISITE_CHANGE,
        Permission.PAYIN_CONFIRM,
        Permission.PAYIN_DECLINE,
        Permission.PAYOUT_PAY,
    ),
    # What a member may do in which store comes from MEMBER_PRESETS.
    Role.MERCHANT: _EVERYBODY,
    Role.LEAD: _EVERYBODY
    | _PROGRAMS
    | dict.fromkeys(
        (
            Permission.LEAD_HOME_VIEW,
            Permission.TRADER_VIEW,
            Permission.REQUISITE_VIEW,
            Permission.TEAM_VIEW,
            Permission.ORDER_VIEW,
            Permission.BALANCE_VIEW,
        ),
        Reach.TEAM,
    ),
    Role.SUPPORT: _EVERYBODY
    | _PROGRAMS
    | dict.fromkeys(
        (
            Permission.SUPPORT_HOME_VIEW,
            Permission.TRADER_VIEW,
            Permission.TEAM_VIEW,
            Permission.MERCHANT_VIEW,
            Permission.ORDER_VIEW,
            Permission.PERSON_VIEW,
            Permission.NUMBER_REVEAL,
            Permission.ORDER_CANCEL,
            Permission.ORDER_REASSIGN,
            Permission.REVIEW_DECIDE,
            Permission.DISPUTE_OPEN,
            Permission.WEBHOOK_RESEND,
            # They see what a grant lets them propose or decide.
            Permission.APPROVAL_VIEW,
        ),
        Reach.ALL,
    ),
    Role.ADMIN: _EVERYBODY
    | _PROGRAMS
    | dict.fromkeys(
        (
            Permission.ADMIN_HOME_VIEW,
            Permission.TRADER_VIEW,
            Permission.TRADER_VERIFY,
            Permission.TRADER_BLOCK,
            Permission.REQUISITE_VIEW,
            Permission.REQUISITE_DECIDE,
            Permission.TEAM_VIEW,
            Permission.TEAM_CHANGE,
            Permission.MERCHANT_VIEW,
            Permission.MERCHANT_BLOCK,
            Permission.ORDER_VIEW,
            Permission.BALANCE_VIEW,
            Permission.NUMBER_REVEAL,
            Permission.ORDER_CANCEL,
            Permission.ORDER_COMPLETE,
            Permission.ORDER_REASSIGN,
            Permission.REVIEW_DECIDE,
            Permission.DISPUTE_OPEN,
            Permission.DISPUTE_DECIDE,
            Permission.WEBHOOK_RESEND,
            Permission.PERSON_VIEW,
            Permission.PERSON_EXPORT,
            Permission.PERSON_INVITE,
            Permission.PERSON_DISABLE,
            Permission.FACTOR_RESET,
            Permission.SESSION_VIEW,
            Permission.SESSION_REVOKE,
            Permission.ACCESS_CHANGE,
            Permission.ACCESS_APPROVE,
            Permission.APPROVAL_VIEW,
            Permission.COMPLETION_APPROVE,
            Permission.AUDIT_VIEW,
            Permission.AUDIT_EXPORT,
            Permission.QUEUE_VIEW,
            Permission.QUEUE_MANAGE,
            Permission.ERROR_VIEW,
            Permission.ERROR_HANDLE,
        ),
        Reach.ALL,
    ),
}

_MEMBER = _own(Permission.MERCHANT_HOME_VIEW, Permission.ORDER_VIEW) | _PROGRAMS

MEMBER_PRESETS: Mapping[MemberRole, Holdings] = {
    MemberRole.VIEWER: _MEMBER,
    MemberRole.ACCOUNTANT: _MEMBER | _own(Permission.BALANCE_VIEW, Permission.WITHDRAWAL_REQUEST),
    MemberRole.DEVELOPER: _MEMBER
    | _own(
        Permission.ORDER_CREATE,
        Permission.WEBHOOK_CHANGE,
        Permission.WEBHOOK_RESEND,
        Permission.API_KEY_VIEW,
        Permission.API_KEY_ISSUE,
        Permission.API_KEY_REVOKE,
    ),
    MemberRole.OWNER: _MEMBER
    | _own(
        Permission.ORDER_CREATE,
        Permission.PAYOUT_CREATE,
        Permission.BALANCE_VIEW,
        Permission.WITHDRAWAL_REQUEST,
        Permission.WEBHOOK_CHANGE,
        Permission.WEBHOOK_RESEND,
        Permission.API_KEY_VIEW,
        Permission.API_KEY_ISSUE,
        Permission.API_KEY_REVOKE,
    ),
}

# What a member's access token may do follows from what the member may do.
SCOPE_NEEDS: Mapping[Scope, Permission] = {
    Scope.ORDERS_READ: Permission.ORDER_VIEW,
    Scope.ORDERS_WRITE: Permission.ORDER_CREATE,
    Scope.PAYOUTS_WRITE: Permission.PAYOUT_CREATE,
    Scope.BALANCES_READ: Permission.BALANCE_VIEW,
    Scope.WITHDRAWALS_WRITE: Permission.WITHDRAWAL_REQUEST,
    Scope.WEBHOOKS_WRITE: Permission.WEBHOOK_CHANGE,
}


def effective_permissions(
    roles: Iterable[Role], member_roles: Iterable[MemberRole] = (), grants: Iterable[Grant] = ()
) -> dict[Permission, Reach]:
    """What somebody may do, each with its widest reach: presets of their roles, then grants, then denials.

    A denial always wins. In which stores a member's role counts is decided by the queries of stores.
    """
    held: dict[Permission, Reach] = {}
    presets = [PRESETS[role] for role in roles] + [MEMBER_PRESETS[role] for role in member_roles]
    for preset in presets:
        for permission, reach in preset.items():
            held[permission] = max(reach, held.get(permission, reach))
    given = list(grants)
    for permission, granted in given:
        if granted is not None:
            held[permission] = max(granted, held.get(permission, granted))
    for permission, granted in given:
        if granted is None:
            held.pop(permission, None)
    return held


def takes_two_people(role: Role) -> bool:
    """Whether the role gives power over things of others that nobody may give alone."""
    return any(
        permission.needs_two_people and reach > Reach.OWN for permission, reach in PRESETS[role].items()
    )


def scopes_of(holdings: Holdings) -> frozenset[Scope]:
    """The scopes of the JSON API that these permissions amount to."""
    return frozenset(scope for scope, permission in SCOPE_NEEDS.items() if permission in holdings)
