"""What the clock does: every deadline is a row that is due, acted on once, by whoever sees it first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import copy

from portal.core.actors import SYSTEM
from portal.core.db import hot, is_connection_lost, transaction
from portal.core.processes.heartbeat import DOORS_CLOSED_S
from portal.orders.evidence import has_proof
from portal.orders.models import Direction, Status
from portal.orders.reasons import HouseReason
from portal.orders.record import COLUMNS, OrderRecord, record_of
from portal.orders.service.apply import apply
from portal.orders.service.claim import claim_payout
from portal.orders.service.confirm import confirm_payout
from portal.orders.service.decline import back_to_matching
from portal.orders.service.quiet_period import count_silent_completion, may_silence_complete
from portal.orders.service.stuck import Stuck
from portal.orders.transitions import Step, find_transition

log = logging.getLogger(__name__)
stuck = Stuck()

# A deadline is over when a web process has been there since, so that nobody is late for a door that was closed (without
# any web process, and long after the last one, when the time is there); never while a silence waits to be judged.
_OVER_BY = f"""
(SELECT CASE WHEN coalesce(max(beat_at), '-infinity') < clock_timestamp() - interval '{DOORS_CLOSED_S} s' THEN clock_timestamp()
             WHEN bool_or(silent_from IS NOT NULL) THEN '-infinity' ELSE least(max(beat_at), clock_timestamp()) END
   FROM heartbeat WHERE role = 'web')
"""  # noqa: S608 - a constant of this house
_DUE = f"""
SELECT {COLUMNS} FROM orders o WHERE o.due_at <= {_OVER_BY} AND o.id <> ALL(%(stuck)s::uuid[])
 ORDER BY o.due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608


def act_on_due_orders(
    limit: int = 200, *, open_case: Callable[[OrderRecord], OrderRecord] | None = None
) -> int:
    """Act on orders whose deadline has passed, one transaction each; how many were acted on.

    Many may run: a row that another one works on is passed over, and a row that has moved on is not due.
    `open_case` opens the dispute of what nobody confirmed. An order that can't be acted on is logged
    and passed over, so that it does not keep the others from theirs; it is tried again later and later.
    """
    acted = 0
    for _ in range(limit):
        order = None
        try:
            with transaction():
                rows = hot(_DUE, {"stuck": stuck.resting()})
                if not rows:
                    break
                order = record_of(rows[0])
                act_on_deadline(order, open_case)
            acted += 1
            stuck.forget(order.id)
        except Exception as error:
            if order is None or is_connection_lost(error):
                raise
            log.exception("a deadline could not be acted on", extra={"order": str(order.id)})
            stuck.note(order.id)
    return acted


def act_on_deadline(
    order: OrderRecord, open_case: Callable[[OrderRecord], OrderRecord] | None = None
) -> OrderRecord:
    """What follows when the deadline of a locked order's present status has passed."""
    match (order.direction, order.status):
        case (_, Status.MATCHING | Status.REVIEW):
            return _end(order, Step.MATCH_RAN_OUT, HouseReason.NOBODY_FREE)
        case (Direction.PAYIN, Status.AWAITING_PAYMENT):
            return _end(order, Step.PAY_RAN_OUT, HouseReason.NOT_PAID_IN_TIME)
        case (Direction.PAYIN, Status.AWAITING_CONFIRMATION):
            assert open_case is not None
            return open_case(order)
        case (Direction.PAYOUT, Status.AWAITING_PAYOUT):
            return _not_claimed_in_time(order)
        case (Direction.PAYOUT, Status.AWAITING_CONFIRMATION):
            if may_silence_complete(order):
                count_silent_completion(order)
                return confirm_payout(order, actor=SYSTEM, reason=HouseReason.NOBODY_OBJECTED)
            assert open_case is not None
            return open_case(order)
    raise AssertionError(f"{order.direction} {order.status} has no deadline")


def _not_claimed_in_time(order: OrderRecord) -> OrderRecord:
    """To the next trader, unless there is a proof that it was paid: then nobody else is to pay it again."""
    if has_proof(order):
        return claim_payout(order, actor=SYSTEM)
    row = find_transition(order.direction, order.status, Step.PAY_RAN_OUT, SYSTEM)
    return back_to_matching(order, row, HouseReason.NOT_PAID_IN_TIME, actor=SYSTEM)


def _end(order: OrderRecord, step: Step, reason: HouseReason) -> OrderRecord:
    row = find_transition(order.direction, order.status, step, SYSTEM)
    before = copy(order)
    order.due_at = order.retry_at = None
    order.ended_at = order.read_at
    return apply(order, row, actor=SYSTEM, reason=reason, before=before)


_LEAVE_WINDOW = """
WITH due AS (
  SELECT id, requisite_id, amount_minor FROM orders
   WHERE window_leaves_at <= now() ORDER BY window_leaves_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
), left_window AS (
  UPDATE orders o SET window_leaves_at = NULL, version = version + 1, updated_at = now() FROM due WHERE o.id = due.id RETURNING o.id
), sums AS (
  SELECT requisite_id, sum(amount_minor) AS amount FROM due GROUP BY requisite_id
), locked AS (
  SELECT r.id FROM requisite r JOIN sums ON sums.requisite_id = r.id ORDER BY r.id FOR NO KEY UPDATE OF r
)
UPDATE requisite r SET window_amount = greatest(r.window_amount - sums.amount, 0)
  FROM sums, locked WHERE r.id = sums.requisite_id AND locked.id = r.id
RETURNING r.id
"""
_NEW_DAY = """
UPDATE requisite SET day = d.day, day_amount = 0, day_count = 0
  FROM (SELECT (now() AT TIME ZONE %(day_timezone)s)::date AS day) d
 WHERE requisite.id IN (
   SELECT id FROM requisite WHERE NOT can_take_payin
      AND requisite.day < (now() AT TIME ZONE %(day_timezone)s)::date
      AND (day_amount > 0 OR day_count > 0)
    ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED)
RETURNING requisite.id
"""


def free_limits(day_timezone: str, limit: int = 500) -> int:
    """Give back what left a rolling window, and start the operator's new day; how many requisites changed."""
    with transaction():
        freed = len(hot(_LEAVE_WINDOW, {"limit": limit}))
    with transaction():
        freed += len(hot(_NEW_DAY, {"day_timezone": day_timezone, "limit": limit}))
    return freed
