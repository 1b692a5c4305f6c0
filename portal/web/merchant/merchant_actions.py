"""What a merchant's member does to an order of their stores on its page: what their programs may do, with a reason."""

from __future__ import annotations

import uuid

from flask_babel import lazy_gettext as _l

from portal.core.actors import Actor, ActorKind
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import cancel_order, confirm_payout
from portal.orders.transitions import Step
from portal.web.merchant.seat import current_seat
from portal.web.shared.orders.forms import DisputeForm, OrderForm
from portal.web.shared.orders.order_action import OrderAction
from portal.web.shared.orders.order_actions import Desk
from portal.web.shell.acting import acting_person

_READERS = _l("Whoever works on this order can read it. Kept in the audit log as well.")


def _cancel(order: OrderRecord, form: OrderForm, actor: Actor) -> None:
    cancel_order(order, form.words, actor=actor)


def _confirm(order: OrderRecord, form: OrderForm, actor: Actor) -> None:
    confirm_payout(order, actor=actor, reason=form.words)


def _object(order: OrderRecord, form: DisputeForm, actor: Actor) -> None:
    open_dispute(order, DisputeReason(form.about.data), form.words, form.claimed_minor, actor=actor)


MERCHANT_ACTIONS = (
    OrderAction(
        "confirmation", "order_confirm", Permission.PAYOUT_CREATE, frozenset({Step.CONFIRMED}), _confirm,
        _l("Confirm it was received"),
        _l("The receiver has the money: the trader is paid from what the payout holds of your balance. It can't be undone."),
        _l("The payout is completed."),
        readers=_READERS,
    ),
    OrderAction(
        "dispute", "order_dispute", Permission.ORDER_CREATE, frozenset({Step.DISPUTED}), _object,
        _l("Something is wrong: open a dispute"),
        _l("The order's clock stops and money stays where it is until an administrator decides. An objection to a payout is heard until it is completed."),
        _l("The dispute is open."),
        form=DisputeForm,
        moves_money=False,
        readers=_READERS,
    ),
    OrderAction(
        "cancellation", "order_cancel", Permission.ORDER_CREATE, frozenset({Step.CANCELLED}), _cancel,
        _l("Cancel the order"),
        _l("The order ends for good and can't be paid any more. What a payout holds goes back to your balance."),
        _l("The order is cancelled."),
        tone="danger",
        readers=_READERS,
    ),
)  # fmt: skip


def _may(order: OrderRecord, permission: Permission) -> bool:
    seat = current_seat()
    return all(order.store_id in seat.stores_for(needed) for needed in (permission, Permission.ORDER_VIEW))


def _load(order_id: uuid.UUID, permission: Permission, *, lock: bool = False) -> OrderRecord:
    order = get_order(order_id, lock=lock)
    if not _may(order, permission):
        raise NotFound("There is no such order.")
    return order


def _actor() -> Actor:
    """The person as the merchant's, whatever else they are."""
    person = acting_person()
    return Actor(ActorKind.MERCHANT, person.id, person.origin)


DESK = Desk(MERCHANT_ACTIONS, _load, _may, _actor)
