"""What people may do, one permission for each kind of act, and how a route declares which one it needs.

A route without `requires` or `public` fails a convention test. Who holds a permission, and how far it reaches,
is decided by roles (portal.identity.roles) with grants and denials on top (portal.identity.access.grants); whose
things they may touch is decided by the queries, which load by owner.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from flask import g
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from portal.core.errors import Forbidden, Unauthorized

P = ParamSpec("P")
R = TypeVar("R")
View = TypeVar("View", bound=Callable[..., Any])


class Reach(StrEnum):
    """Whose things a permission is good for: one's own, those of one's team, everybody's."""

    OWN = "own"
    TEAM = "team"
    ALL = "all"

    # By width: as texts, "all" would come first.
    def __lt__(self, other: str) -> bool:
        return _WIDTHS.index(self) < _WIDTHS.index(other)

    def __le__(self, other: str) -> bool:
        return _WIDTHS.index(self) <= _WIDTHS.index(other)

    def __gt__(self, other: str) -> bool:
        return _WIDTHS.index(self) > _WIDTHS.index(other)

    def __ge__(self, other: str) -> bool:
        return _WIDTHS.index(self) >= _WIDTHS.index(other)


_WIDTHS = ("own", "team", "all")


class Permission(StrEnum):
    ACCOUNT_VIEW = "account:view"
    TOKEN_VIEW = "token:view"  # noqa: S105 - a permission
    TOKEN_REVOKE = "token:revoke"  # noqa: S105 - a permission
    # Traders
    TRADER_QUEUE_VIEW = "trader_queue:view"
    TRADER_WORKING_SWITCH = "trader_working:switch"
    PAYIN_CONFIRM = "payin:confirm"
    PAYIN_DECLINE = "payin:decline"
    PAYOUT_PAY = "payout:pay"
    # Merchants
    MERCHANT_HOME_VIEW = "merchant_home:view"
    ORDER_VIEW = "order:view"
    ORDER_CREATE = "order:create"
    PAYOUT_CREATE = "payout:create"
    BALANCE_VIEW = "balance:view"
    WITHDRAWAL_REQUEST = "withdrawal:request"
    WEBHOOK_CHANGE = "webhook:change"
    WEBHOOK_RESEND = "webhook:resend"
    API_KEY_VIEW = "api_key:view"
    API_KEY_ISSUE = "api_key:issue"
    API_KEY_REVOKE = "api_key:revoke"
    # Staff
    LEAD_HOME_VIEW = "lead_home:view"
    SUPPORT_HOME_VIEW = "support_home:view"
    ADMIN_HOME_VIEW = "admin_home:view"
    TRADER_VIEW = "trader:view"
    TRADER_VERIFY = "trader:verify"
    TRADER_BLOCK = "trader:block"
    REQUISITE_VIEW = "requisite:view"
    REQUISITE_CHANGE = "requisite:change"
    REQUISITE_DECIDE = "requisite:decide"
    MERCHANT_VIEW = "merchant:view"
    MERCHANT_BLOCK = "merchant:block"
    NUMBER_REVEAL = "number:reveal"
    # What staff do to the orders of others
    ORDER_CANCEL = "order:cancel"
    ORDER_COMPLETE = "order:complete"
    ORDER_REASSIGN = "order:reassign"
    REVIEW_DECIDE = "review:decide"
    DISPUTE_OPEN = "dispute:open"
    DISPUTE_DECIDE = "dispute:decide"
    # People and their access
    PERSON_VIEW = "person:view"
    PERSON_EXPORT = "person:export"
    PERSON_INVITE = "person:invite"
    PERSON_DISABLE = "person:disable"
    FACTOR_RESET = "factor:reset"
    SESSION_VIEW = "session:view"
    SESSION_REVOKE = "session:revoke"
    ACCESS_CHANGE = "access:change"
    ACCESS_APPROVE = "access:approve"
    # What takes two people
    APPROVAL_VIEW = "approval:view"
    COMPLETION_APPROVE = "completion:approve"
    TEAM_VIEW = "team:view"
    TEAM_CHANGE = "team:change"
    AUDIT_VIEW = "audit:view"
    AUDIT_EXPORT = "audit:export"
    # The machinery
    QUEUE_VIEW = "queue:view"
    QUEUE_MANAGE = "queue:manage"
    ERROR_VIEW = "error:view"
    ERROR_HANDLE = "error:handle"

    @property
    def sentence(self) -> str:
        """What it lets somebody do, in the reader's language."""
        return str(_SENTENCES[self])

    @property
    def needs_two_people(self) -> bool:
        """Whether it moves money or grants power, so that nobody can give it alone."""
        return self in _TWO_PEOPLE


_SENTENCES = {
    Permission.ACCOUNT_VIEW: _l("See your own account and your session."),
    Permission.TOKEN_VIEW: _l("See which programs are signed in with your name."),
    Permission.TOKEN_REVOKE: _l("Sign out a program that uses your name."),
    Permission.TRADER_QUEUE_VIEW: _l("See your own queue of payins and payouts, with their receipts."),
    Permission.TRADER_WORKING_SWITCH: _l("Switch your own work on and off."),
    Permission.PAYIN_CONFIRM: _l("Confirm that the money of your payin came, also in another amount."),
    Permission.PAYIN_DECLINE: _l("Give a payin back, or dispute one whose money did not come."),
    Permission.PAYOUT_PAY: _l("Accept payouts, attach proof, say that they are paid, give them back."),
    Permission.MERCHANT_HOME_VIEW: _l("See the merchant's start page."),
    Permission.ORDER_VIEW: _l("See orders and their receipts."),
    Permission.ORDER_CREATE: _l("Create payins, and cancel and claim them."),
    Permission.PAYOUT_CREATE: _l("Create payouts from the store's balance."),
    Permission.BALANCE_VIEW: _l("See balances and statements."),
    Permission.WITHDRAWAL_REQUEST: _l("Ask for settlement money to be paid out."),
    Permission.WEBHOOK_CHANGE: _l("Change where the store is told what happened."),
    Permission.WEBHOOK_RESEND: _l("Send a webhook again."),
    Permission.API_KEY_VIEW: _l("See the store's API keys, without what is secret in them."),
    Permission.API_KEY_ISSUE: _l("Issue and rotate API keys of the store."),
    Permission.API_KEY_REVOKE: _l("Revoke API keys of the store."),
    Permission.LEAD_HOME_VIEW: _l("See the team lead's start page."),
    Permission.SUPPORT_HOME_VIEW: _l("See support's start page."),
    Permission.ADMIN_HOME_VIEW: _l("See the administrator's start page."),
    Permission.TRADER_VIEW: _l("See traders with their work, requisites and limits."),
    Permission.TRADER_VERIFY: _l("Verify traders, or take their verification back."),
    Permission.REQUISITE_VIEW: _l("See requisites with their limits and how much of them is used."),
    Permission.REQUISITE_CHANGE: _l("Add own requisites, change their limits, switch and archive them."),
    Permission.REQUISITE_DECIDE: _l("Approve, decline and suspend requisites of traders."),
    Permission.TRADER_BLOCK: _l("Block traders, so that they get no orders, and let them work again."),
    Permission.MERCHANT_BLOCK: _l(
        "Block merchants, so that their programs are refused, and let them in again."
    ),
    Permission.MERCHANT_VIEW: _l("See merchants with their stores and members."),
    Permission.NUMBER_REVEAL: _l("See a masked number in full, for a reason that is written down."),
    Permission.ORDER_CANCEL: _l("Cancel orders of others that nobody has paid yet."),
    Permission.ORDER_COMPLETE: _l("Complete orders of others, late and in another amount as well."),
    Permission.ORDER_REASSIGN: _l("Take orders off a trader, so that another one gets them."),
    Permission.REVIEW_DECIDE: _l("Let orders go on that were set aside for review, or refuse them."),
    Permission.DISPUTE_OPEN: _l("Open disputes over orders of others."),
    Permission.DISPUTE_DECIDE: _l("Decide disputes: complete the order or cancel it."),
    Permission.PERSON_VIEW: _l("See people with their roles and state."),
    Permission.PERSON_EXPORT: _l("Take the list of people out as a file."),
    Permission.PERSON_INVITE: _l("Invite people by a single-use link."),
    Permission.PERSON_DISABLE: _l("Switch logins off and on; what they have open ends at once."),
    Permission.FACTOR_RESET: _l("Take away somebody's second factor, so that they set up another."),
    Permission.SESSION_VIEW: _l("See where somebody is signed in."),
    Permission.SESSION_REVOKE: _l("Sign somebody out."),
    Permission.ACCESS_CHANGE: _l("Change somebody's roles and permissions, or ask for it."),
    Permission.ACCESS_APPROVE: _l("Approve or refuse what another asked for somebody's access."),
    Permission.APPROVAL_VIEW: _l(
        "See what waits for a second person, of the kinds they may propose or decide."
    ),
    Permission.COMPLETION_APPROVE: _l(
        "Approve or refuse a completion above the order's amount that another proposed."
    ),
    Permission.TEAM_VIEW: _l("See teams with their leads and traders."),
    Permission.TEAM_CHANGE: _l("Form teams, and move traders between them."),
    Permission.AUDIT_EXPORT: _l("Take the audit log out as a file."),
    Permission.AUDIT_VIEW: _l("See who did what."),
    Permission.QUEUE_VIEW: _l("See the queues of work, who works, and what was given up."),
    Permission.QUEUE_MANAGE: _l("Stop queues and let them go on, and try again what was given up."),
    Permission.ERROR_VIEW: _l("See the errors of the house."),
    Permission.ERROR_HANDLE: _l("Mark errors as handled."),
}
_TWO_PEOPLE = frozenset(
    {
        Permission.PAYIN_CONFIRM,
        Permission.PAYIN_DECLINE,
        Permission.PAYOUT_PAY,
        Permission.PAYOUT_CREATE,
        Permission.WITHDRAWAL_REQUEST,
        Permission.ORDER_COMPLETE,
        Permission.COMPLETION_APPROVE,
        Permission.DISPUTE_DECIDE,
        Permission.API_KEY_ISSUE,
        Permission.TRADER_VERIFY,
        Permission.REQUISITE_DECIDE,
        Permission.PERSON_INVITE,
        Permission.FACTOR_RESET,
        Permission.ACCESS_CHANGE,
        Permission.ACCESS_APPROVE,
    }
)


class NotSignedIn(Unauthorized):
    code, title = "not_signed_in", "Sign in first"


class MissingPermission(Forbidden):
    """Names what is missing, so that its reader knows what to ask for."""

    code = "missing_permission"

    def __init__(self, permission: Permission) -> None:
        words = _l(
            "This needs the permission %(permission)s: %(sentence)s",
            permission=permission.value,
            sentence=permission.sentence,
        )
        super().__init__(str(words), extra={"permission": permission.value})


def requires(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only people with this permission reach the route.

    Raises NotSignedIn (401), MissingPermission (403). How far it reaches is for the route to ask:
    `current_user.reach(permission)`.
    """

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            demand(permission)
            return view(*args, **kwargs)

        checked.permission = permission  # type: ignore[attr-defined]
        return checked

    return declare


def current_visitor() -> Any:
    """`current_user` itself: each look through its proxy is one through three others, and a request took fifteen."""
    known = g.get("_login_user")
    return current_user._get_current_object() if known is None else known  # noqa: SLF001


def demand(permission: Permission) -> None:
    """Go on only for who holds the permission. Raises NotSignedIn (401), MissingPermission (403)."""
    visitor = current_visitor()
    if not visitor.is_authenticated:
        raise NotSignedIn
    if not visitor.can(permission):
        raise MissingPermission(permission)


def public(why: str) -> Callable[[View], View]:
    """Declare that a route is open to everybody, and say why."""

    def declare(view: View) -> View:
        view.public_because = why  # type: ignore[attr-defined]
        return view

    return declare


def permission_of(view: Callable[..., Any]) -> Permission | None:
    return cast("Permission | None", getattr(view, "permission", None))


def why_public(view: Callable[..., Any]) -> str | None:
    return cast("str | None", getattr(view, "public_because", None))
