"""Everybody's orders, for staff who may see them all; those with a narrower reach see none here."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_login import current_user

from portal.core.permissions import Permission, Reach
from portal.merchants.queries import list_store_names
from portal.orders.order_list import OrderLine, Whose
from portal.traders.queries import trader_name
from portal.web.listing import Listing
from portal.web.order_lines import order_listing


def whose_orders() -> Whose:
    """Raises MissingPermission."""
    return Whose() if current_user.reach(Permission.ORDER_VIEW) is Reach.ALL else Whose(stores=())


def staff_listing(portal: str) -> Listing[OrderLine]:
    return order_listing(
        whose_orders,
        endpoint=f"{portal}.orders",
        export_endpoint=f"{portal}.export_orders",
        link=None,
        stores=list_store_names(),
        traders=trader_name,
        empty_next=_l("They appear as soon as a shop creates one."),
    )
