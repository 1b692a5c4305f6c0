"""All that the queue shows at one moment, read for one trader, ready to be drawn."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.core.db.clock import transaction_now
from portal.core.modes import Mode
from portal.ledger.models import OwnerKind
from portal.ledger.queries import Balance, list_balances
from portal.matching.readiness import Reason, why_no_orders
from portal.orders.models import Status
from portal.orders.queries import (
    list_ended_for_trader,
    list_payout_offers,
    list_queue_for_trader,
    recipient_number_of,
)
from portal.orders.receipts import ReceiptRecord, list_look_alikes, list_receipts
from portal.orders.record import OrderRecord
from portal.orders.service.claim import PayerDetails
from portal.orders.trader_view import payer_of
from portal.reference import configuration as config
from portal.traders.queries import get_trader
from portal.web.shell.languages import current_language, current_timezone
from portal.web.trader.seat import Seat

PAGE = 20
_FINISHED = (Status.COMPLETED.value, Status.CANCELLED.value)
# Finding look-alikes costs a query for each receipt: enough for any queue a person can work.
_MOST_COMPARED = 20


@dataclass(frozen=True, slots=True)
class Card:
    """One order with what the trader needs to decide about it. The number is the recipient's, in full."""

    order: OrderRecord
    receipts: tuple[ReceiptRecord, ...] = ()
    seen_elsewhere: frozenset[uuid.UUID] = frozenset()
    payer: PayerDetails | None = None
    recipient_number: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A page of the orders that ended today, those after an id; `older` is the last id where there are more."""

    orders: tuple[OrderRecord, ...]
    older: uuid.UUID | None
    after: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Board:
    """Amounts are minor units. `version` changes with anything that would be drawn differently."""

    now: datetime
    is_working: bool
    reasons: tuple[Reason, ...]
    balances: tuple[Balance, ...]
    queue: tuple[OrderRecord, ...]
    offers: tuple[OrderRecord, ...]
    late: tuple[OrderRecord, ...]
    finished: Finished

    @property
    def version(self) -> str:
        orders = (*self.queue, *self.offers, *self.late, *self.finished.orders)
        parts = (
            [(order.id, order.version, order.due_at) for order in orders],
            self.switch_version,
            self.balances,
            self.finished.older,
            current_language(),
        )
        return fingerprint(parts)

    @property
    def switch_version(self) -> str:
        return fingerprint((self.is_working, self.reasons))

    def of(self, direction: str, *statuses: str) -> tuple[OrderRecord, ...]:
        return tuple(o for o in self.queue if o.direction == direction and o.status in statuses)


def fingerprint(parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def read_board(seat: Seat, after: uuid.UUID | None = None) -> Board:
    """The queue of this trader now, by the database's clock; the page of finished orders after one of them."""
    now = transaction_now()
    mode = Mode(seat.mode)
    late_since = now - timedelta(seconds=config.get(config.LATE_COMPLETION_WINDOW_S))
    return Board(
        now=now,
        is_working=get_trader(seat.trader_id).is_working,
        reasons=tuple(why_no_orders(seat.trader_id, config.get(config.DAY_TIMEZONE))),
        balances=tuple(list_balances(OwnerKind.TRADER, seat.trader_id, mode)),
        queue=tuple(list_queue_for_trader(seat.trader_id)),
        offers=tuple(list_payout_offers(seat.trader_id, mode)),
        late=tuple(list_ended_for_trader(seat.trader_id, [Status.EXPIRED.value], late_since)),
        finished=_finished(seat, now, after),
    )


def _finished(seat: Seat, now: datetime, after: uuid.UUID | None) -> Finished:
    midnight = now.astimezone(current_timezone()).replace(hour=0, minute=0, second=0, microsecond=0)
    found = list_ended_for_trader(seat.trader_id, _FINISHED, midnight, after=after, limit=PAGE + 1)
    return Finished(tuple(found[:PAGE]), found[PAGE - 1].id if len(found) > PAGE else None, after)


def cards_of(orders: Sequence[OrderRecord]) -> list[Card]:
    """The orders with receipts, what the payer said, and the number a payout goes to. Decrypts."""
    receipts: dict[uuid.UUID, list[ReceiptRecord]] = {}
    for receipt in list_receipts([order.id for order in orders]) if orders else []:
        receipts.setdefault(receipt.order_id, []).append(receipt)
    return [_card(order, receipts.get(order.id, ())) for order in orders]


def _card(order: OrderRecord, receipts: Iterable[ReceiptRecord]) -> Card:
    mine = tuple(receipts)
    compared = mine[:_MOST_COMPARED] if order.is_payin else ()
    return Card(
        order,
        mine,
        frozenset(receipt.id for receipt in compared if list_look_alikes(receipt, 1)),
        payer_of(order) if order.is_payin else None,
        recipient_number_of(order) if order.status == Status.AWAITING_PAYOUT else None,
    )
