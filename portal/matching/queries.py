"""What could be served now: for the customer who chooses a method, and the shop that asks before it offers one.

Amounts are minor units of the fiat currency, holds minor units of the settlement currency. Nothing is
reserved: the answer holds for this moment only.
"""

from __future__ import annotations

from dataclasses import dataclass

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
            "hold": hold_minor, "never": list(store.traffic.excluded),
            "only": list(store.traffic.pinned) or None,
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
        wanted = Wanted(new_id(), 0, mode, method, bank, currency, amount, hold, store.traffic)
        return amount > 0 and match(wanted, reserve=False).taken is not None

    if fits(amount_minor):
        return Availability(True)
    params = {
        "mode": mode, "method": method, "currency": currency, "amount": amount_minor,
        "never": list(store.traffic.excluded),
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
        "never": list(store.traffic.excluded), "only": list(store.traffic.pinned) or None,
    }  # fmt: skip
    return Availability(bool(hot(_PAYOUT, params)[0]["fits"]))
