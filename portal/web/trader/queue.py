"""`/trader/queue`: the page, its live part, the big switch, and the receipts' files."""

from __future__ import annotations

import uuid

from flask import make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.core.db import run_in_transaction
from portal.core.errors import BadRequest
from portal.core.permissions import Permission, requires
from portal.orders.queries import get_order_for_trader
from portal.orders.receipts import get_receipt
from portal.traders.service import set_working
from portal.web.shared.receipts import upload_response
from portal.web.shell.htmx import fragment
from portal.web.shell.visitor import background
from portal.web.trader import blueprint
from portal.web.trader.answers import board_variables, done
from portal.web.trader.board import read_board
from portal.web.trader.seat import current_seat
from portal.web.ui.lists.place import id_after


@blueprint.get("")
@requires(Permission.TRADER_QUEUE_VIEW)
def home() -> ResponseReturnValue:
    """What people type who work here; the other portals' homes have no name either."""
    return redirect(url_for("trader.queue"), code=302)


@blueprint.get("/queue")
@requires(Permission.TRADER_QUEUE_VIEW)
def queue() -> ResponseReturnValue:
    board = read_board(current_seat(), id_after("ord"))
    return render_template("trader/queue/queue.html", seat=current_seat(), **board_variables(board))


@blueprint.get("/queue/cards")
@requires(Permission.TRADER_QUEUE_VIEW)
@background
def cards() -> ResponseReturnValue:
    """The live part; 304 while nothing would look different."""
    board = read_board(current_seat(), id_after("ord"))
    if request.if_none_match.contains_weak(board.version):
        response = make_response("", 304)
    else:
        response = fragment("trader/queue/_board.html", **board_variables(board))
    response.set_etag(board.version, weak=True)
    return response


@blueprint.post("/working")
@requires(Permission.TRADER_WORKING_SWITCH)
def switch_working() -> ResponseReturnValue:
    wanted, seat = request.form.get("working"), current_seat()
    if wanted not in {"on", "off"}:
        raise BadRequest("Say whether to switch on or off.")
    run_in_transaction(lambda: set_working(seat.trader_id, wanted == "on", actor=seat.actor))
    if wanted == "on":
        return done(_("You are switched on. New orders can come."))
    return done(_("You are switched off. No new orders will come; those you have stay with you."))


@blueprint.get("/orders/<order_id:order_id>/receipts/<receipt_id:receipt_id>")
@requires(Permission.TRADER_QUEUE_VIEW)
def receipt(order_id: uuid.UUID, receipt_id: uuid.UUID) -> ResponseReturnValue:
    order = get_order_for_trader(current_seat().trader_id, order_id)
    return upload_response(get_receipt(order.id, receipt_id), "receipt")
