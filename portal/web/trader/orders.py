"""`/trader/orders/<id>`: an order that is the trader's now, with what its customer said and sent."""

from __future__ import annotations

import uuid

from flask.typing import ResponseReturnValue

from portal.core.permissions import Permission, requires
from portal.orders.order_list import Whose
from portal.web.shared.orders.amounts import Share
from portal.web.shared.orders.page import Eyes, answer, read_page
from portal.web.trader import blueprint
from portal.web.trader.seat import current_seat


@blueprint.get("/orders/<order_id:order_id>")
@requires(Permission.TRADER_QUEUE_VIEW)
def order(order_id: uuid.UUID) -> ResponseReturnValue:
    whose = Whose(traders=(current_seat().trader_id,))
    return answer(read_page(order_id, Eyes("trader", whose, frozenset({Share.TRADER}))))
