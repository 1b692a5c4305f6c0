"""`/support/orders`: everybody's orders, as a list and as a file."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from portal.core.permissions import Permission, requires
from portal.web.listing import render
from portal.web.listing_export import export
from portal.web.staff_orders import staff_listing
from portal.web.support import blueprint


@blueprint.get("/orders")
@requires(Permission.ORDER_VIEW)
def orders() -> ResponseReturnValue:
    return render("support/orders.html", staff_listing("support"))


@blueprint.get("/orders.csv")
@requires(Permission.ORDER_VIEW)
def export_orders() -> ResponseReturnValue:
    return export(staff_listing("support"))
