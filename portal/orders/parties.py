"""The parties to an order: its trader, the lead of that trader's team, and whoever works for its store's merchant.

One login may be a party and of the staff as well. What they do then they do as the party, where a party may; never as staff.
"""

from __future__ import annotations

import uuid

from portal.core.actors import Actor
from portal.core.errors import Forbidden
from portal.merchants.queries import works_for_store
from portal.orders.record import OrderRecord
from portal.traders.queries import people_of_traders


class OwnOrder(Forbidden):
    code, title = "own_order", "Nobody acts as staff on an order of their own"


def is_party(order: OrderRecord, user_id: uuid.UUID) -> bool:
    """Whether the order is also this person's, as the rows say now. Two statements at most."""
    if order.trader_id is not None:
        people = people_of_traders([order.trader_id]).get(order.trader_id)
        if people is not None and user_id in {people.user_id, people.lead_id}:
            return True
    return works_for_store(user_id, order.store_id)


def acts_on_own(order: OrderRecord, actor: Actor) -> bool:
    """Whether somebody of the staff is a party to it. For anybody else, and the console, no statement is spent."""
    return actor.is_staff and actor.id is not None and is_party(order, actor.id)


def refuse_own(order: OrderRecord, actor: Actor) -> None:
    """Raises OwnOrder for somebody of the staff who is a party to it."""
    if acts_on_own(order, actor):
        raise OwnOrder(
            "This order is your own: you are its trader, their team lead, or one of the shop's people. Somebody else"
            " of the staff works on it."
        )
