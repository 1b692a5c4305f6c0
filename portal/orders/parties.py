"""The parties to an order: each trader who has or had it, those traders' leads, and whoever works for its store's merchant.

A payin that was given back may have been paid to the trader who had it: what becomes of it is still their matter.

One login may be a party and of the staff as well. What they do then they do as the party, where a party may; never as staff.
"""

from __future__ import annotations

import uuid

from portal.core.actors import Actor
from portal.core.db import hot
from portal.core.errors import Forbidden
from portal.merchants.queries import works_for_store
from portal.orders.record import OrderRecord
from portal.traders.queries import people_of_traders

_FORMER = "SELECT DISTINCT trader_id FROM past_assignment WHERE order_id = %(id)s"


class OwnOrder(Forbidden):
    code, title = "own_order", "Nobody acts as staff on an order of their own"


def is_party(order: OrderRecord, user_id: uuid.UUID) -> bool:
    """Whether the order is also this person's, as the rows say now. Three statements at most."""
    traders = {row["trader_id"] for row in hot(_FORMER, {"id": order.id})}
    if order.trader_id is not None:
        traders.add(order.trader_id)
    people = people_of_traders(traders).values()
    if any(user_id in {of_trader.user_id, of_trader.lead_id} for of_trader in people):
        return True
    return works_for_store(user_id, order.store_id)


def acts_on_own(order: OrderRecord, actor: Actor) -> bool:
    """Whether somebody of the staff is a party to it. For anybody else, and the console, no statement is spent."""
    return actor.is_staff and actor.id is not None and is_party(order, actor.id)


def refuse_own(order: OrderRecord, actor: Actor) -> None:
    """Raises OwnOrder for somebody of the staff who is a party to it."""
    if acts_on_own(order, actor):
        raise OwnOrder(
            "This order is your own: you are or were its trader, lead that trader's team, or work for the shop. Somebody"
            " else of the staff works on it."
        )
