"""What staff may do to the order of others, each with its permission, its form and what it will do, in words."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from portal.core.actors import Actor
from portal.core.permissions import Permission
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, resolve_dispute
from portal.orders.record import OrderRecord
from portal.orders.service import (
    cancel_order,
    confirm_payin,
    confirm_payout,
    decline_payin,
    decline_payout,
    refuse_review,
    release_review,
)
from portal.orders.transitions import Step
from portal.web.shared.orders.forms import AmountForm, DecisionForm, DisputeForm, OrderForm
from portal.web.shared.orders.order_action import OrderAction
from portal.web.shared.orders.proposing import TO_COMPLETE, TO_DECIDE


def _complete(order: OrderRecord, form: AmountForm, actor: Actor) -> None:
    if order.is_payin:
        confirm_payin(order, form.received_minor, actor=actor, reason=form.words)
    else:
        confirm_payout(order, actor=actor, reason=form.words)


def _reassign(order: OrderRecord, form: OrderForm, actor: Actor) -> None:
    decline = decline_payin if order.is_payin else decline_payout
    decline(order, form.words, actor=actor)


def _dispute(order: OrderRecord, form: DisputeForm, actor: Actor) -> None:
    open_dispute(order, DisputeReason(form.about.data), form.words, form.claimed_minor, actor=actor)


def _decide(order: OrderRecord, form: DecisionForm, actor: Actor) -> None:
    outcome = DisputeOutcome(form.outcome.data)
    resolve_dispute(order, outcome, form.received_minor, form.words, actor=actor)


STAFF_ACTIONS = (
    OrderAction(
        "release", "order_release", Permission.REVIEW_DECIDE, frozenset({Step.RELEASED}),
        lambda order, form, actor: release_review(order, form.words, actor=actor),
        _l("Let the order go on"),
        _l("The order goes on as if it had just been created: a payin is matched at once, and the trader's deposit is held."),
        _l("The order goes on."),
    ),
    OrderAction(
        "refusal", "order_refuse", Permission.REVIEW_DECIDE, frozenset({Step.REFUSED}),
        lambda order, form, actor: refuse_review(order, form.words, actor=actor),
        _l("Refuse the order"),
        _l("The order fails for good; what a payout held goes back to the store. The shop is told that it was declined, not why."),
        _l("The order is refused."),
        tone="danger",
        readers=_l("Kept in the audit log; the shop does not read it."),
    ),
    OrderAction(
        "completion", "order_complete", TO_COMPLETE.permission,
        frozenset({Step.CONFIRMED, Step.CONFIRMED_LATE}), _complete,
        _l("Complete the order"),
        _l("The money came: everybody is paid in one entry of the ledger. An order whose time was up takes the trader's hold anew. It can't be undone."),
        _l("The order is completed."),
        form=AmountForm,
        proposal=TO_COMPLETE,
    ),
    OrderAction(
        "decision", "order_decide", TO_DECIDE.permission,
        frozenset({Step.DECIDED_COMPLETED, Step.DECIDED_CANCELLED}), _decide,
        _l("Decide the dispute"),
        _l("Completing pays everybody in one entry of the ledger; cancelling gives back what is on hold. It can't be undone."),
        _l("The dispute is decided."),
        form=DecisionForm,
        proposal=TO_DECIDE,
    ),
    OrderAction(
        "reassignment", "order_reassign", Permission.ORDER_REASSIGN, frozenset({Step.DECLINED}), _reassign,
        _l("Give it to another trader"),
        _l("The order is taken off its requisite and looked for anew; it never comes back to the same one. Hold and limits go back."),
        _l("The order was taken off its requisite."),
    ),
    OrderAction(
        "dispute", "order_dispute", Permission.DISPUTE_OPEN, frozenset({Step.DISPUTED}), _dispute,
        _l("Open a dispute"),
        _l("The order's clock stops and money stays where it is until somebody decides. Trader, team lead and shop are told."),
        _l("The dispute is open."),
        form=DisputeForm,
        moves_money=False,
    ),
    OrderAction(
        "cancellation", "order_cancel", Permission.ORDER_CANCEL, frozenset({Step.CANCELLED}),
        lambda order, form, actor: cancel_order(order, form.words, actor=actor),
        _l("Cancel the order"),
        _l("The order ends for good; hold and limits go back. The shop is told."),
        _l("The order is cancelled."),
        tone="danger",
    ),
)  # fmt: skip
