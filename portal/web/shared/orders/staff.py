"""Everybody's orders, as administrators and support see them: one set of routes for both portals.

Who may see orders, but not everybody's, sees none here.
"""

from __future__ import annotations

import uuid

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from portal.core.errors import NotFound
from portal.core.ids import public_id
from portal.core.permissions import Permission, requires
from portal.matching.queries import count_reasons
from portal.merchants.queries import get_store, list_store_names
from portal.orders.order_list import OrderLine
from portal.orders.parties import OwnOrder, acts_on_own
from portal.orders.receipts import get_receipt
from portal.orders.record import OrderRecord
from portal.orders.service.assign import wanted_of
from portal.traders.queries import trader_name
from portal.web.labels.refusals import WORDS
from portal.web.shared.orders.amounts import Share
from portal.web.shared.orders.lines import order_listing
from portal.web.shared.orders.order_actions import actions_for, add_actions
from portal.web.shared.orders.page import Eyes, answer, read_page
from portal.web.shared.orders.proposing import add_proposals, waiting_about
from portal.web.shared.orders.resending import resend
from portal.web.shared.orders.revealing import requisite_number, show_requisite_number
from portal.web.shared.orders.staff_scope import is_everybodys, staff_order, whose_orders
from portal.web.shared.receipts import upload_response
from portal.web.shell.acting import acting_person
from portal.web.ui.lists.declaration import Listing
from portal.web.ui.lists.export import export
from portal.web.ui.lists.shown import render


def staff_listing(portal: str) -> Listing[OrderLine]:
    return order_listing(
        whose_orders,
        endpoint=f"{portal}.orders",
        export_endpoint=f"{portal}.export_orders",
        link=lambda line: url_for(f"{portal}.order", order_id=line.id),
        stores=list_store_names(),
        traders=trader_name,
        empty_next=_l("They appear as soon as a shop creates one."),
    )


def staff_eyes(portal: str) -> Eyes:
    """All there is, but money and the audit log only with the permission to see those of everybody."""
    sees_money = is_everybodys(Permission.BALANCE_VIEW)
    return Eyes(
        portal,
        whose_orders(),
        frozenset(Share) if sees_money else frozenset({Share.STORE}),
        sees_shop=True,
        sees_trader=True,
        sees_people=True,
        sees_search=True,
        sees_webhooks=True,
        sees_entries=sees_money,
        sees_audit=is_everybodys(Permission.AUDIT_VIEW),
    )


def _portal() -> str:
    return str(request.blueprint)


@requires(Permission.ORDER_VIEW)
def orders() -> ResponseReturnValue:
    return render("orders/list.html", staff_listing(_portal()))


@requires(Permission.ORDER_VIEW)
def export_orders() -> ResponseReturnValue:
    return export(staff_listing(_portal()))


@requires(Permission.ORDER_VIEW)
def order(order_id: uuid.UUID) -> ResponseReturnValue:
    page = read_page(order_id, staff_eyes(_portal()))
    resends, actions = is_everybodys(Permission.WEBHOOK_RESEND), actions_for(page.order)
    is_own = bool(actions) and acts_on_own(page.order, acting_person())
    return answer(
        page, actions=[] if is_own else actions, own_words=WORDS[OwnOrder.code] if is_own else "",
        may_resend=resends, reveal_url=_reveal_url(page.order), waiting=waiting_about(page.order),
    )  # fmt: skip


def _reveal_url(order: OrderRecord) -> str | None:
    """Where the requisite's whole number can be seen, for who may."""
    if order.requisite_id is None or not is_everybodys(Permission.NUMBER_REVEAL):
        return None
    number = public_id("ord", order.id)
    return url_for(f"{_portal()}.requisite_number", requisite_id=order.requisite_id, order=number)


@requires(Permission.ORDER_VIEW)
def order_receipt(order_id: uuid.UUID, receipt_id: uuid.UUID) -> ResponseReturnValue:
    return upload_response(get_receipt(staff_order(order_id).id, receipt_id), "receipt")


@requires(Permission.WEBHOOK_RESEND)
def order_resend(order_id: uuid.UUID, delivery_id: uuid.UUID) -> ResponseReturnValue:
    return resend(lambda: staff_order(order_id, Permission.WEBHOOK_RESEND), delivery_id)


@requires(Permission.ORDER_VIEW)
def order_matching(order_id: uuid.UUID) -> ResponseReturnValue:
    """Who would take a payin now, counted anew: for somebody who asks why it waits."""
    found = staff_order(order_id)
    if not found.is_payin or found.method is None:
        raise NotFound("This order is not matched.")
    counts = count_reasons(wanted_of(found, get_store(found.store_id)))
    return render_template("orders/matching.html", order=found, portal=_portal(), counts=counts)


def add_order_routes(blueprint: Blueprint) -> None:
    """Put the list of everybody's orders, its file and each order's page and actions into a portal of staff."""
    one = "/orders/<order_id:order_id>"
    for path, view in (
        ("/orders", orders),
        ("/orders.csv", export_orders),
        (one, order),
        (f"{one}/receipts/<receipt_id:receipt_id>", order_receipt),
        (f"{one}/matching", order_matching),
    ):
        blueprint.add_url_rule(path, view.__name__, view)
    blueprint.add_url_rule(
        f"{one}/deliveries/<uuid:delivery_id>/resending", "order_resend", order_resend, methods=["POST"]
    )
    reveal = "/requisites/<uuid:requisite_id>/number"
    blueprint.add_url_rule(reveal, "requisite_number", requisite_number)
    blueprint.add_url_rule(reveal, "show_requisite_number", show_requisite_number, methods=["POST"])
    add_actions(blueprint)
    add_proposals(blueprint)
