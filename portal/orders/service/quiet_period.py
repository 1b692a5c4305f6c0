"""What silence may complete: a payout that is small and proven, as long as its trader's day has room for it."""

from __future__ import annotations

from portal.core.db import after_commit, hot
from portal.core.modes import Mode
from portal.core.observability import metrics
from portal.orders.evidence import has_good_proof
from portal.orders.record import OrderRecord
from portal.reference import configuration as config


def may_silence_complete(order: OrderRecord) -> bool:
    """Whether a locked payout counts as confirmed because nobody objected; what does not is the desk's.

    Small ones, paid with a picture of nothing, would add up: what silence completed for the trader in the last 24
    hours and this one stay within a volume (minor units, of each settlement currency). Locks the trader's silent
    completions until the end of the transaction.
    """
    most = config.get(config.PAYOUT_SILENCE_LIMIT_MINOR)
    if order.settlement_minor > most or not has_good_proof(order):
        return False
    # All shops share the sandbox's trader, who is nobody: one shop's tests are not to change what another's do.
    return order.mode == Mode.TEST or _has_day_room(order)


def _has_day_room(order: OrderRecord) -> bool:
    hot(_LOCK_SILENT, {"trader": order.trader_id})
    values = {"trader": order.trader_id, "now": order.read_at, "currency": order.settlement_currency}
    completed_minor = int(hot(_SUM_SILENT, values)[0]["minor"])
    return completed_minor + order.settlement_minor <= config.get(config.PAYOUT_SILENCE_TRADER_DAY_MINOR)


_LOCK_SILENT = "SELECT pg_advisory_xact_lock(hashtextextended(%(trader)s::text, 35))"
# Along ix_orders_trader_ended_at.
_SUM_SILENT = """
SELECT coalesce(sum(o.settlement_minor), 0) AS minor FROM orders o
 WHERE o.trader_id = %(trader)s AND o.ended_at > %(now)s - interval '24 hours' AND o.direction = 'payout'
   AND o.status = 'completed' AND o.settlement_currency = %(currency)s
   AND EXISTS (SELECT 1 FROM order_event e
                WHERE e.order_id = o.id AND e.event = 'confirmed' AND e.actor_kind = 'system')
"""


def count_silent_completion(order: OrderRecord) -> None:
    """Count a payout that silence completes, and what it is worth, once that is committed."""
    mode, currency, worth = order.mode, order.settlement_currency, order.settlement_minor
    after_commit(lambda: metrics.silent_completions.labels(mode).inc())
    after_commit(lambda: metrics.silent_completions_minor.labels(mode, currency).inc(worth))
