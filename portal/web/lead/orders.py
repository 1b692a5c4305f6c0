"""`/lead/orders`: the orders of one's own traders, as a list and as a file."""

from __future__ import annotations

import uuid

from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from portal.core.permissions import Permission, requires
from portal.merchants.queries import list_store_names
from portal.orders.order_list import OrderLine, Whose
from portal.traders.queries import list_trader_ids_of_lead, trader_name
from portal.web.lead import blueprint
from portal.web.listing import Listing, render
from portal.web.listing_export import export
from portal.web.order_lines import order_listing


def listing_of(traders: tuple[uuid.UUID, ...]) -> Listing[OrderLine]:
    return order_listing(
        lambda: Whose(traders=traders),
        endpoint="lead.orders",
        export_endpoint="lead.export_orders",
        link=None,
        stores=list_store_names(),
        traders=trader_name,
        empty_next=_l("They appear as soon as one of your traders gets an order."),
    )


@blueprint.get("/orders")
@requires(Permission.ORDER_VIEW)
def orders() -> ResponseReturnValue:
    return render("lead/orders.html", listing_of(list_trader_ids_of_lead(current_user.id)))


@blueprint.get("/orders.csv")
@requires(Permission.ORDER_VIEW)
def export_orders() -> ResponseReturnValue:
    return export(listing_of(list_trader_ids_of_lead(current_user.id)))
