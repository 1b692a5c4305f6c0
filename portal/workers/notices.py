"""Whom the relay tells of what happened to orders: after the fact, never in an order's own transaction."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator, Sequence

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from portal.core.db import db, is_connection_lost, is_worth_retrying
from portal.core.ids import public_id
from portal.core.modes import Mode
from portal.events.queries import OrderEvent, list_order_events
from portal.events.relay import RelayedEvent
from portal.identity.models import MemberRole, Role
from portal.identity.people.audience import list_holders, list_members_of_store
from portal.mail.links import order_page, trader_page
from portal.merchants.queries import find_store
from portal.notifications.models import NotificationKind
from portal.notifications.service import Notice, settle, tell
from portal.orders.shortfalls import list_used_up
from portal.traders.queries import TraderPeople, people_of_traders

log = logging.getLogger(__name__)

MATCHED, DISPUTED, AMOUNT_CHANGED = "order.matched", "order.disputed", "order.amount_changed"
# After these nothing is left to do for whoever was told of the order or of its dispute.
ENDED = frozenset(
    {
        "order.completed",
        "order.expired",
        "order.cancelled",
        "order.failed",
        "payout.completed",
        "payout.failed",
        "payout.cancelled",
    }
)


def tell_of_events(events: Sequence[RelayedEvent]) -> None:
    """Tell of new orders, disputes and used-up shortfalls, and settle what has ended. Twice is the same as once.

    Runs inside the relay's transaction. What fails here is logged and undone by itself: a notification must
    not keep a store's webhook back.
    """
    told = [event.id for event in events if event.type in {MATCHED, DISPUTED}]
    ended = [str(event.subject_id) for event in events if event.type in ENDED]
    short = {e.trader_id for e in events if e.type == AMOUNT_CHANGED and e.trader_id and e.mode == Mode.LIVE}
    if not told and not ended and not short:
        return
    try:
        with db.session.begin_nested():
            if told:
                tell(list(_notices(list_order_events(told))))
            if short:
                tell(list(_of_shortfalls(short)))
            if ended:
                settle((NotificationKind.NEW_ORDER, NotificationKind.DISPUTE_OPENED), ended)
    except (SQLAlchemyError, psycopg.Error, ValueError) as error:
        if is_worth_retrying(error) or is_connection_lost(error):
            raise
        log.exception("people could not be told of events", extra={"events": len(events)})


def _notices(events: Sequence[OrderEvent]) -> Iterator[Notice]:
    people = people_of_traders({event.trader_id for event in events if event.trader_id})
    for event in events:
        of_trader = people.get(event.trader_id) if event.trader_id else None
        if event.type == DISPUTED:
            yield from _of_dispute(event, of_trader)
        # A payout is the trader's own choice: there is nothing to tell them.
        elif event.direction == "payin" and of_trader and of_trader.user_id:
            link = order_page("trader", event.order_id)
            yield Notice(
                of_trader.user_id, NotificationKind.NEW_ORDER, str(event.order_id), _params(event), link
            )


def _of_dispute(event: OrderEvent, of_trader: TraderPeople | None) -> Iterator[Notice]:
    """The trader and their lead, support, and the store's owners."""
    store = find_store(event.store_id)
    pages = dict.fromkeys(list_holders(Role.SUPPORT), order_page("support", event.order_id))
    if store is not None:
        owners = list_members_of_store(store.merchant_id, store.id, [MemberRole.OWNER])
        pages |= dict.fromkeys(owners, order_page("merchant", event.order_id))
    if of_trader is not None and of_trader.lead_id:
        pages[of_trader.lead_id] = order_page("lead", event.order_id)
    if of_trader is not None and of_trader.user_id:
        pages[of_trader.user_id] = order_page("trader", event.order_id)
    for user_id, link in pages.items():
        yield Notice(user_id, NotificationKind.DISPUTE_OPENED, str(event.order_id), _params(event), link)


def _of_shortfalls(trader_ids: Collection[uuid.UUID]) -> Iterator[Notice]:
    """The administrators, of each trader once a day."""
    for one in list_used_up(trader_ids):
        params = {"trader": one.name, "most": str(one.most)}
        about, link = f"{one.trader_id} {one.day}", trader_page(one.trader_id)
        for admin in list_holders(Role.ADMIN):
            yield Notice(admin, NotificationKind.SHORTFALLS_USED_UP, about, params, link)


def _params(event: OrderEvent) -> dict[str, str]:
    return {"order": public_id("ord", event.order_id), "amount": f"{event.amount} {event.currency}"}
