"""What could be served now: for the customer who chooses a method, and the shop that asks before it offers one.

Amounts are minor units of the fiat currency, holds minor units of the settlement currency. Nothing is
reserved: the answer holds for this moment only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from portal.core.db import hot
from portal.core.ids import new_id
from portal.matching.service import Wanted, match
from portal.merchants.queries import StoreTerms
from portal.reference.queries import list_methods

_BANKS = """
SELECT DISTINCT f.bank FROM (
  SELECT r.bank FROM requisite r JOIN ledger_account a ON a.id = r.available_account_id
   WHERE r.mode = %(mode)s AND r.method = %(method)s AND r.currency = %(currency)s AND r.can_take_payin
     AND r.amounts @> %(amount)s::bigint AND a.balance >= %(hold)s
     AND NOT r.trader_id = ANY(%(never)s::uuid[])
     AND (%(only)s::uuid[] IS NULL OR r.trader_id = ANY(%(only)s::uuid[]))
     AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.requisite_id = r.id AND o.amount_minor = %(amount)s
                        AND o.direction = 'payin' AND o.status IN ('awaiting_payment', 'awaiting_confirmation'))
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
            "only": list(store.traffic_for(mode).pinned) or None,
        }  # fmt: skip
        banks = tuple(row["bank"] for row in hot(_BANKS, params))
        if banks:
            found.append(OpenMethod(method.code, banks))
    return found


_NEAREST = """
SELECT max(max_amount) FILTER (WHERE max_amount < %(amount)s) AS below,
       min(min_amount) FILTER (WHERE min_amount > %(amount)s) AS above
  FROM requisite
 WHERE mode = %(mode)s AND method = %(method)s AND currency = %(currency)s AND can_take_payin
   AND NOT trader_id = ANY(%(never)s::uuid[])
"""
# When the amount itself is taken by another open order, one a little different is free.
_STEPS = (1, 2, 3, 5, 10)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether this amount could be served now, and the nearest amounts that could (minor units)."""

    is_available: bool
    nearest_minor: tuple[int, ...] = ()


def payin_availability(
    store: StoreTerms,
    mode: str,
    method: str,
    bank: str | None,
    currency: str,
    amount_minor: int,
    *,
    hold_per_million: int,
    unit_minor: int,
) -> Availability:
    """Try the matcher without reserving; if nobody fits, the nearest amounts that somebody takes.

    `hold_per_million` is what a million minor units need as hold, `unit_minor` one unit of the currency.
    """

    def fits(amount: int) -> bool:
        hold = -(-amount * hold_per_million // 1_000_000)
        wanted = Wanted(new_id(), 0, mode, method, bank, currency, amount, hold, store.traffic_for(mode))
        return amount > 0 and match(wanted, reserve=False).taken is not None

    if fits(amount_minor):
        return Availability(True)
    params = {
        "mode": mode, "method": method, "currency": currency, "amount": amount_minor,
        "never": list(store.traffic_for(mode).excluded),
    }  # fmt: skip
    bounds = hot(_NEAREST, params)[0]
    tries = [amount_minor + sign * step * unit_minor for step in _STEPS for sign in (-1, 1)]
    tries += [bound for bound in (bounds["below"], bounds["above"]) if bound]
    nearest = sorted(
        {amount for amount in tries if fits(amount)}, key=lambda value: abs(value - amount_minor)
    )
    return Availability(False, tuple(nearest[:2]))


_PAYOUT = """
SELECT EXISTS (
  SELECT 1 FROM requisite r
   WHERE r.mode = %(mode)s AND r.method = %(method)s AND r.currency = %(currency)s AND r.status = 'approved'
     AND r.payout_on AND r.trader_payout_on AND r.open_orders < r.max_open_orders
     AND r.amounts @> %(amount)s::bigint AND NOT r.trader_id = ANY(%(never)s::uuid[])
     AND (%(only)s::uuid[] IS NULL OR r.trader_id = ANY(%(only)s::uuid[]))) AS fits
"""


def payout_availability(
    store: StoreTerms, mode: str, method: str, currency: str, amount_minor: int
) -> Availability:
    """Whether any trader could be offered this payout now."""
    params = {
        "mode": mode, "method": method, "currency": currency, "amount": amount_minor,
        "never": list(store.traffic_for(mode).excluded), "only": list(store.traffic_for(mode).pinned) or None,
    }  # fmt: skip
    return Availability(bool(hot(_PAYOUT, params)[0]["fits"]))


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
