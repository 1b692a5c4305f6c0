"""`/lead/orders`: the orders of one's own traders, as a list, as a file, and each on a page of its own."""

from __future__ import annotations

import uuid

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from portal.core.permissions import Permission, requires
from portal.merchants.queries import list_store_names
from portal.orders.order_detail import PartsOfPage, read_order_detail
from portal.orders.order_list import OrderLine, Whose
from portal.orders.receipts import get_receipt
from portal.traders.queries import list_trader_ids_of_lead, trader_name
from portal.web.lead import blueprint
from portal.web.shared.orders.amounts import Share
from portal.web.shared.orders.lines import order_listing
from portal.web.shared.orders.page import Eyes, answer, read_page
from portal.web.shared.receipts import upload_response
from portal.web.ui.lists.declaration import Listing
from portal.web.ui.lists.export import export
from portal.web.ui.lists.shown import render


def listing_of(traders: tuple[uuid.UUID, ...]) -> Listing[OrderLine]:
    return order_listing(
        lambda: Whose(traders=traders),
        endpoint="lead.orders",
        export_endpoint="lead.export_orders",
        link=lambda line: url_for("lead.order", order_id=line.id),
        stores=list_store_names(),
        traders=trader_name,
        empty_next=_l("They appear as soon as one of your traders gets an order."),
    )


def _whose() -> Whose:
    return Whose(traders=list_trader_ids_of_lead(current_user.id))


@blueprint.get("/orders")
@requires(Permission.ORDER_VIEW)
def orders() -> ResponseReturnValue:
    return render("orders/list.html", listing_of(list_trader_ids_of_lead(current_user.id)))


@blueprint.get("/orders.csv")
@requires(Permission.ORDER_VIEW)
def export_orders() -> ResponseReturnValue:
    return export(listing_of(list_trader_ids_of_lead(current_user.id)))


@blueprint.get("/orders/<order_id:order_id>")
@requires(Permission.ORDER_VIEW)
def order(order_id: uuid.UUID) -> ResponseReturnValue:
    shares = {Share.TRADER, Share.LEAD} if current_user.can(Permission.BALANCE_VIEW) else set()
    return answer(read_page(order_id, Eyes("lead", _whose(), frozenset(shares), sees_trader=True)))


@blueprint.get("/orders/<order_id:order_id>/receipts/<receipt_id:receipt_id>")
@requires(Permission.ORDER_VIEW)
def order_receipt(order_id: uuid.UUID, receipt_id: uuid.UUID) -> ResponseReturnValue:
    found = read_order_detail(order_id, _whose(), PartsOfPage())
    return upload_response(get_receipt(found.order.id, receipt_id), "receipt")
