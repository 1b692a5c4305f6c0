"""Taking a trader's requisite for a payout that they accept, by the rule that also decides whom it is offered to."""

from __future__ import annotations

import uuid

from portal.core.db import hot
from portal.matching.service import Taken
from portal.merchants.queries import TrafficTerms
from portal.reference import configuration as config

_MAY_TAKE = """
SELECT traffic_refusals(%(trader_id)s, %(only)s::uuid[], %(never)s::uuid[]) = '{}'
       AND NOT had_trader(%(order_id)s, %(trader_id)s) AS may_take
"""


def may_take(trader_id: uuid.UUID, order_id: uuid.UUID, traffic: TrafficTerms) -> bool:
    """Whether the store's traffic goes to this trader, and they have not had the payout before."""
    params = {
        "trader_id": trader_id, "order_id": order_id, "only": list(traffic.pinned), "never": list(traffic.excluded),
    }  # fmt: skip
    return bool(hot(_MAY_TAKE, params)[0]["may_take"])


# One that another order has just changed is judged anew when its lock is there.
_RESERVE = """
WITH pick AS (
  SELECT r.id, t.day FROM requisite r, (SELECT (now() AT TIME ZONE %(day_timezone)s)::date AS day) t
   WHERE r.trader_id = %(trader_id)s AND r.mode = %(mode)s AND r.method = %(method)s AND r.currency = %(currency)s
     AND requisite_verdict(r, 'payout', %(amount)s, NULL, t.day) = 'fits'
   ORDER BY r.bank IS NOT DISTINCT FROM %(bank)s DESC, r.tier, r.open_orders, r.id
   LIMIT 1 FOR NO KEY UPDATE OF r
)
SELECT q.id, q.trader_id, q.bank, q.holder, q.number_encrypted, q.number_masked, q.day, q.window_s
  FROM pick, reserve_requisite(pick.id, %(amount)s, pick.day) q
"""


def reserve_for_payout(
    trader_id: uuid.UUID, *, mode: str, method: str, currency: str, bank: str | None, amount_minor: int
) -> Taken | None:
    """Take place and limits of the trader's requisite that fits best: of this bank, if there is one.

    Locks the requisite, waiting for it. Call it inside the transaction that writes the order.
    """
    params = {
        "trader_id": trader_id, "mode": mode, "method": method, "currency": currency, "bank": bank,
        "amount": amount_minor, "day_timezone": config.get(config.DAY_TIMEZONE),
    }  # fmt: skip
    rows = hot(_RESERVE, params)
    return Taken(*rows[0].values()) if rows else None
