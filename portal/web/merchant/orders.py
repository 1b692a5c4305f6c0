"""`/merchant/orders`: the orders of one's own stores, as a list, as a file, and each on a page of its own."""

from __future__ import annotations

import uuid

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from portal.core.permissions import Permission, requires
from portal.orders.order_detail import PartsOfPage, read_order_detail
from portal.orders.order_list import OrderLine, Whose
from portal.orders.receipts import get_receipt
from portal.web.merchant import blueprint
from portal.web.merchant.merchant_actions import DESK
from portal.web.merchant.seat import Seat, current_seat
from portal.web.shared.orders.amounts import Share
from portal.web.shared.orders.lines import order_listing
from portal.web.shared.orders.order_actions import actions_for, add_actions
from portal.web.shared.orders.page import Eyes, answer, raw_of, read_page
from portal.web.shared.orders.resending import resend
from portal.web.shared.receipts import upload_response
from portal.web.ui.lists.declaration import Listing
from portal.web.ui.lists.export import export
from portal.web.ui.lists.shown import render


def listing_of(seat: Seat) -> Listing[OrderLine]:
    stores = seat.stores_for(Permission.ORDER_VIEW)
    return order_listing(
        lambda: Whose(stores=tuple(stores)),
        endpoint="merchant.orders",
        export_endpoint="merchant.export_orders",
        link=lambda line: url_for("merchant.order", order_id=line.id),
        stores=stores,
        empty_next=_l("Create the first one through the API."),
    )


def _whose() -> Whose:
    return Whose(stores=tuple(current_seat().stores_for(Permission.ORDER_VIEW)))


@blueprint.get("/orders")
@requires(Permission.ORDER_VIEW)
def orders() -> ResponseReturnValue:
    return render("orders/list.html", listing_of(current_seat()))


@blueprint.get("/orders.csv")
@requires(Permission.ORDER_VIEW)
def export_orders() -> ResponseReturnValue:
    return export(listing_of(current_seat()))


@blueprint.get("/orders/<order_id:order_id>")
@requires(Permission.ORDER_VIEW)
def order(order_id: uuid.UUID) -> ResponseReturnValue:
    eyes = Eyes("merchant", _whose(), frozenset({Share.STORE}), sees_shop=True, sees_webhooks=True)
    page = read_page(order_id, eyes)
    holds_keys = page.order.store_id in current_seat().stores_for(Permission.API_KEY_VIEW)
    resends = page.order.store_id in current_seat().stores_for(Permission.WEBHOOK_RESEND)
    raw = raw_of(page.order) if holds_keys else None
    return answer(page, raw=raw, may_resend=resends, actions=actions_for(page.order, DESK))


add_actions(blueprint, DESK)


@blueprint.post("/orders/<order_id:order_id>/deliveries/<uuid:delivery_id>/resending")
@requires(Permission.WEBHOOK_RESEND)
def order_resend(order_id: uuid.UUID, delivery_id: uuid.UUID) -> ResponseReturnValue:
    mine = Whose(stores=tuple(current_seat().stores_for(Permission.WEBHOOK_RESEND)))
    return resend(lambda: read_order_detail(order_id, mine, PartsOfPage()).order, delivery_id)


@blueprint.get("/orders/<order_id:order_id>/receipts/<receipt_id:receipt_id>")
@requires(Permission.ORDER_VIEW)
def order_receipt(order_id: uuid.UUID, receipt_id: uuid.UUID) -> ResponseReturnValue:
    found = read_order_detail(order_id, _whose(), PartsOfPage())
    return upload_response(get_receipt(found.order.id, receipt_id), "receipt")
