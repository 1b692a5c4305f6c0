"""What stands in the navigation of each portal, and what of it this visitor may open.

What does not exist is not here, and what somebody may not open they do not see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, request
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from portal.core.permissions import Permission


@dataclass(frozen=True, slots=True)
class Item:
    """One link. `also` are prefixes of endpoints below it, which keep it marked."""

    endpoint: str
    label: LazyString
    icon: str
    permission: Permission
    also: tuple[str, ...] = ()

    def is_current(self, endpoint: str | None) -> bool:
        return endpoint is not None and (
            endpoint == self.endpoint or endpoint.startswith(self.also or ("\0",))
        )


@dataclass(frozen=True, slots=True)
class Portal:
    """One group of links; `home` is where its people's work begins."""

    name: str
    title: LazyString
    items: tuple[Item, ...]

    @property
    def home(self) -> Item:
        return self.items[0]


P = Permission
# Endpoints of the lists of people, and of what stands in them.
PEOPLE = (
    "admin.people", "admin.person", "admin.access", "admin.leads", "admin.trader", "admin.merchant",
    "admin.invitation", "admin.new_invitation",
)  # fmt: skip
# What a trader does with orders leads back to the queue.
QUEUE = (
    "trader.queue", "trader.order", "trader.cards", "trader.confirm", "trader.decline", "trader.accept",
    "trader.attach_proof", "trader.claim", "trader.give_back", "trader.switch_working",
)  # fmt: skip
REQUISITES = (
    "trader.requisite", "trader.new_requisite", "trader.add_requisite", "trader.save_requisite",
    "trader.switch_requisite", "trader.archive",
)  # fmt: skip
# In the order in which a person of several roles gets their home.
PORTALS = (
    Portal(
        "trader",
        _l("Trader"),
        (
            Item("trader.queue", _l("Queue"), "list-check", P.TRADER_QUEUE_VIEW, QUEUE),
            Item("trader.requisites", _l("Requisites"), "credit-card", P.REQUISITE_VIEW, REQUISITES),
        ),
    ),
    Portal(
        "admin",
        _l("Administration"),
        (
            Item("admin.home", _l("Overview"), "home", P.ADMIN_HOME_VIEW),
            Item("admin.orders", _l("Orders"), "list-details", P.ORDER_VIEW, ("admin.order",)),
            Item("admin.people", _l("People"), "users", P.PERSON_VIEW, PEOPLE),
            Item("admin.requisites", _l("Requisites"), "credit-card", P.REQUISITE_VIEW, ("admin.requisite",)),
            Item("admin.teams", _l("Teams"), "users-group", P.TEAM_VIEW, ("admin.team",)),
            Item("admin.approvals", _l("Approvals"), "user-shield", P.APPROVAL_VIEW, ("admin.approval",)),
            Item("admin.audit", _l("Audit log"), "history", P.AUDIT_VIEW, ("admin.audit",)),
            Item("admin.queues", _l("Queues"), "layout-rows", P.QUEUE_VIEW, ("admin.queue",)),
            Item("admin.errors", _l("Errors"), "alert-triangle", P.ERROR_VIEW, ("admin.error",)),
        ),
    ),
    Portal(
        "support",
        _l("Support"),
        (
            Item("support.home", _l("Overview"), "home", P.SUPPORT_HOME_VIEW),
            Item("support.orders", _l("Orders"), "list-details", P.ORDER_VIEW, ("support.order",)),
            # The administration's pages, as far as support's permissions go.
            Item("admin.people", _l("People"), "users", P.PERSON_VIEW, PEOPLE),
            Item("admin.teams", _l("Teams"), "users-group", P.TEAM_VIEW, ("admin.team",)),
        ),
    ),
    Portal(
        "lead",
        _l("Team"),
        (
            Item("lead.home", _l("Overview"), "home", P.LEAD_HOME_VIEW),
            Item("lead.orders", _l("Orders"), "list-details", P.ORDER_VIEW, ("lead.order",)),
            Item("lead.requisites", _l("Requisites"), "credit-card", P.REQUISITE_VIEW),
        ),
    ),
    Portal(
        "merchant",
        _l("Merchant"),
        (
            Item("merchant.home", _l("Overview"), "home", P.MERCHANT_HOME_VIEW),
            Item("merchant.orders", _l("Orders"), "list-details", P.ORDER_VIEW, ("merchant.order",)),
        ),
    ),
    Portal(
        "account",
        _l("Account"),
        (
            Item("profile.show", _l("Profile"), "user-circle", P.ACCOUNT_VIEW),
            Item("security.overview", _l("Security"), "shield-lock", P.ACCOUNT_VIEW, ("security.",)),
            Item("tokens.index", _l("Programs and keys"), "key", P.TOKEN_VIEW, ("tokens.",)),
            Item("notifications.index", _l("Notifications"), "bell", P.ACCOUNT_VIEW, ("notifications.",)),
        ),
    ),
)
# These links stand in the person's own menu, not beside the work.
ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Group:
    """A portal as one visitor sees it."""

    portal: Portal
    items: tuple[Item, ...]


def groups_for(visitor: Any) -> Iterator[Group]:
    """The portals that this visitor may open something of, their own account last."""
    shown: set[str] = set()
    for portal in PORTALS:
        # A portal's people are those of its home, whatever else somebody holds.
        if visitor.can(portal.home.permission):
            items = tuple(
                item for item in portal.items if visitor.can(item.permission) and item.endpoint not in shown
            )
            shown |= {item.endpoint for item in items}
            yield Group(portal, items)


def home_of(visitor: Any) -> str:
    """The endpoint where this person's work begins."""
    return next(group.items[0].endpoint for group in groups_for(visitor))


def _is_current(item: Item) -> bool:
    return item.is_current(request.endpoint)


def register(app: Flask) -> None:
    app.jinja_env.globals.update(
        navigation_for=groups_for, is_current_item=_is_current, account_portal=ACCOUNT
    )
