"""The verbs of orders: one module each. Call them inside transaction() with the order's row locked;
those that say so are a transaction of their own."""

from portal.orders.service.assign import accept_payout, assign_payin, choose_method, match_waiting_orders
from portal.orders.service.cancel import cancel_order
from portal.orders.service.claim import claim_payin, claim_payout
from portal.orders.service.confirm import (
    agree_to_amount,
    confirm_payin,
    confirm_payin_at_once,
    confirm_payout,
)
from portal.orders.service.create import Created, NewOrder, create_order
from portal.orders.service.deadlines import act_on_due_orders
from portal.orders.service.decline import decline_payin, decline_payout
from portal.orders.service.dispute import decide_dispute, mark_disputed
from portal.orders.service.review import refuse_review, release_review

__all__ = [
    "Created",
    "NewOrder",
    "accept_payout",
    "act_on_due_orders",
    "agree_to_amount",
    "assign_payin",
    "cancel_order",
    "choose_method",
    "claim_payin",
    "claim_payout",
    "confirm_payin",
    "confirm_payin_at_once",
    "confirm_payout",
    "create_order",
    "decide_dispute",
    "decline_payin",
    "decline_payout",
    "mark_disputed",
    "match_waiting_orders",
    "refuse_review",
    "release_review",
]
