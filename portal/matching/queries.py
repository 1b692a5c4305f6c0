"""Which methods a customer may choose from now, and why an order finds nobody.

Amounts are minor units of the fiat currency, holds minor units of the settlement currency. Nothing is
reserved: the answer holds for this moment only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from portal.core.db import hot
from portal.matching.service import Wanted
from portal.merchants.queries import StoreTerms
from portal.reference import configuration as config
from portal.reference.queries import list_methods

_BANKS = """
SELECT DISTINCT f.bank FROM (
  SELECT r.bank FROM requisite r JOIN ledger_account a ON a.id = r.available_account_id,
         (SELECT (now() AT TIME ZONE %(day_timezone)s)::date AS day) t
   WHERE r.mode = %(mode)s AND r.method = %(method)s AND r.currency = %(currency)s AND r.can_take_payin
     AND r.amounts @> %(amount)s::bigint AND a.balance >= %(hold)s
     AND coalesce(CASE WHEN r.day >= t.day THEN r.day_amount ELSE 0 END + %(amount)s <= r.day_amount_limit, true)
     AND coalesce(r.window_amount + %(amount)s <= r.window_amount_limit, true)
     AND coalesce(r.total_amount + %(amount)s <= r.total_amount_limit, true)
     AND NOT r.trader_id = ANY(%(never)s::uuid[])
     AND (%(only)s::uuid[] IS NULL OR r.trader_id = ANY(%(only)s::uuid[]))
     AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.requisite_id = r.id AND o.amount_minor = %(amount)s
                        AND o.direction = 'payin' AND o.status IN ('awaiting_payment', 'awaiting_confirmation'))
     AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.requisite_id = r.id AND o.amount_minor = %(amount)s
                        AND o.status = 'disputed')
   LIMIT 500) f
"""


@dataclass(frozen=True, slots=True)
class OpenMethod:
    """A method that somebody could serve now, and through which banks (None: a requisite without a bank)."""

    method: str
    banks: tuple[str | None, ...]


def methods_available(
    store: StoreTerms, mode: str, currency: str, amount_minor: int, hold_minor: int
) -> list[OpenMethod]:
    """The methods of a currency in which this payin would find a requisite now, in the catalogue's order."""
    found = []
    for method in list_methods(currency):
        if store.plan("payin", method.code) is None:
            continue
        params = {
            "mode": mode, "method": method.code, "currency": currency, "amount": amount_minor,
            "hold": hold_minor, "never": list(store.traffic_for(mode).excluded),
            "only": list(store.traffic_for(mode).pinned) or None, "day_timezone": config.get(config.DAY_TIMEZONE),
        }  # fmt: skip
        banks = tuple(row["bank"] for row in hot(_BANKS, params))
        if banks:
            found.append(OpenMethod(method.code, banks))
    return found


_WHY = """
WITH bucket AS (
  SELECT r.*, a.balance AS deposit,
         CASE WHEN r.day = %(day)s THEN r.day_amount ELSE 0 END AS today_amount,
         CASE WHEN r.day = %(day)s THEN r.day_count ELSE 0 END AS today_count
    FROM requisite r JOIN ledger_account a ON a.id = r.available_account_id
   WHERE r.mode = %(mode)s AND r.method = %(method)s AND r.currency = %(currency)s AND r.status <> 'archived'
), judged AS (
  SELECT status <> 'approved' AS not_approved, NOT payin_on AS switched_off,
         NOT trader_payin_on AS trader_not_working,
         %(bank)s::text IS NOT NULL AND bank IS DISTINCT FROM %(bank)s::text AS other_bank,
         NOT amounts @> %(amount)s::bigint AS amount_out_of_range,
         open_orders >= max_open_orders AS too_many_open_orders,
         coalesce(today_amount + %(amount)s > day_amount_limit, false)
           OR coalesce(today_count >= day_count_limit, false) AS day_limit,
         coalesce(window_amount + %(amount)s > window_amount_limit, false) AS window_limit,
         coalesce(total_amount + %(amount)s > total_amount_limit, false) AS total_limit,
         deposit < %(hold)s AS deposit_too_low,
         EXISTS (SELECT 1 FROM orders o WHERE o.requisite_id = bucket.id AND o.amount_minor = %(amount)s
                    AND o.direction = 'payin' AND o.id <> %(order_id)s
                    AND o.status IN ('awaiting_payment', 'awaiting_confirmation', 'disputed')) AS same_amount_open,
         EXISTS (SELECT 1 FROM past_assignment p WHERE p.requisite_id = bucket.id AND p.order_id = %(order_id)s)
           AS had_it_before,
         trader_id = ANY(%(never)s::uuid[]) AS trader_excluded,
         cardinality(%(only)s::uuid[]) > 0 AND trader_id <> ALL(%(only)s::uuid[]) AS trader_not_pinned
    FROM bucket
)
SELECT count(*) AS requisites,
       count(*) FILTER (WHERE NOT (not_approved OR switched_off OR trader_not_working OR other_bank
         OR amount_out_of_range OR too_many_open_orders OR day_limit OR window_limit OR total_limit
         OR deposit_too_low OR same_amount_open OR had_it_before OR trader_excluded OR trader_not_pinned)) AS would_fit,
       count(*) FILTER (WHERE not_approved) AS not_approved,
       count(*) FILTER (WHERE switched_off) AS switched_off,
       count(*) FILTER (WHERE trader_not_working) AS trader_not_working,
       count(*) FILTER (WHERE other_bank) AS other_bank,
       count(*) FILTER (WHERE amount_out_of_range) AS amount_out_of_range,
       count(*) FILTER (WHERE too_many_open_orders) AS too_many_open_orders,
       count(*) FILTER (WHERE day_limit) AS day_limit,
       count(*) FILTER (WHERE window_limit) AS window_limit,
       count(*) FILTER (WHERE total_limit) AS total_limit,
       count(*) FILTER (WHERE deposit_too_low) AS deposit_too_low,
       count(*) FILTER (WHERE same_amount_open) AS same_amount_open,
       count(*) FILTER (WHERE had_it_before) AS had_it_before,
       count(*) FILTER (WHERE trader_excluded) AS trader_excluded,
       count(*) FILTER (WHERE trader_not_pinned) AS trader_not_pinned
  FROM judged
"""


def count_reasons(wanted: Wanted, day: date) -> dict[str, int]:
    """How many requisites of the payin's bucket each condition would turn away now, and how many would fit.

    A requisite is counted under every condition it fails. `day` is the operator's today. Looks at all of
    the bucket: for people who ask why, not for a hot path.
    """
    params = {
        "mode": wanted.mode, "method": wanted.method, "currency": wanted.currency, "bank": wanted.bank,
        "amount": wanted.amount_minor, "hold": wanted.hold_minor, "order_id": wanted.order_id, "day": day,
        "never": list(wanted.traffic.excluded), "only": list(wanted.traffic.pinned),
    }  # fmt: skip
    return {name: int(count) for name, count in hot(_WHY, params)[0].items()}
