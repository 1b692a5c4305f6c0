"""`/merchant/orders`: the orders of one's own stores, as a list and as a file."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from portal.core.permissions import Permission, requires
from portal.orders.order_list import OrderLine, Whose
from portal.web.listing import Listing, render
from portal.web.listing_export import export
from portal.web.merchant import blueprint
from portal.web.merchant.seat import Seat, current_seat
from portal.web.order_lines import order_listing


def listing_of(seat: Seat) -> Listing[OrderLine]:
    stores = seat.stores_for(Permission.ORDER_VIEW)
    return order_listing(
        lambda: Whose(stores=tuple(stores)),
        endpoint="merchant.orders",
        export_endpoint="merchant.export_orders",
        link=None,
        stores=stores,
        empty_next=_l("Create the first one through the API."),
    )


@blueprint.get("/orders")
@requires(Permission.ORDER_VIEW)
def orders() -> ResponseReturnValue:
    return render("merchant/orders.html", listing_of(current_seat()))


@blueprint.get("/orders.csv")
@requires(Permission.ORDER_VIEW)
def export_orders() -> ResponseReturnValue:
    return export(listing_of(current_seat()))
