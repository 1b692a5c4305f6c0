"""What people may do, one permission for each kind of act, and how a route declares which one it needs.

A route without `requires` or `public` fails a convention test. Who holds a permission is decided by roles
(portal.identity.roles); whose things they may touch is decided by the queries, which load by owner.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from flask_login import current_user

from portal.core.errors import Forbidden, Unauthorized

P = ParamSpec("P")
R = TypeVar("R")
View = TypeVar("View", bound=Callable[..., Any])


class Permission(StrEnum):
    ACCOUNT_VIEW = "account:view"
    TRADER_QUEUE_VIEW = "trader_queue:view"
    TRADER_WORKING_SWITCH = "trader_working:switch"
    PAYIN_CONFIRM = "payin:confirm"
    PAYIN_DECLINE = "payin:decline"
    PAYOUT_PAY = "payout:pay"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Permission.ACCOUNT_VIEW: "See your own account and your session.",
    Permission.TRADER_QUEUE_VIEW: "See your own queue of payins and payouts, with their receipts.",
    Permission.TRADER_WORKING_SWITCH: "Switch your own work on and off.",
    Permission.PAYIN_CONFIRM: "Confirm that the money of your payin came, also in another amount.",
    Permission.PAYIN_DECLINE: "Give a payin back, or dispute one whose money did not come.",
    Permission.PAYOUT_PAY: "Accept payouts, attach proof, say that they are paid, give them back.",
}


class NotSignedIn(Unauthorized):
    code, title = "not_signed_in", "Sign in first"


def requires(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only people with this permission reach the route. Raises NotSignedIn (401), Forbidden (403)."""

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if not current_user.is_authenticated:
                raise NotSignedIn
            if not current_user.can(permission):
                raise Forbidden("Your role does not include this.")
            return view(*args, **kwargs)

        checked.permission = permission  # type: ignore[attr-defined]
        return checked

    return declare


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
