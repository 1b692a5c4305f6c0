"""Can this amount be served now, and which amounts near it can: the matcher's own answer, reserving nothing."""

from __future__ import annotations

from dataclasses import dataclass

from portal.core.modes import Mode
from portal.ledger.models import AccountKind, OwnerKind
from portal.ledger.queries import balance_minor
from portal.matching.availability import Corner, list_payout_takers, payin_edges
from portal.matching.service import match
from portal.merchants.queries import StoreTerms
from portal.orders.models import Direction
from portal.orders.pricing import settlement_of, split_of
from portal.orders.service.assign import imagined
from portal.reference.queries import RateQuote, current_rate, get_currency, method_terms


@dataclass(frozen=True, slots=True)
class Availability:
    """`is_available` now, and where it is not: the nearest amounts (minor units) that are."""

    method: str
    is_available: bool
    below_minor: int | None = None
    above_minor: int | None = None


def availability(
    store: StoreTerms,
    mode: Mode,
    direction: Direction,
    method: str,
    bank: str | None,
    currency: str,
    amount_minor: int,
) -> Availability:
    """What would happen to an order of this store now. Raises RateUnavailable.

    A promise for this moment only: a hint for what to offer, not a reservation.
    """
    rate = current_rate(currency, store.settlement_currency, direction.value)
    terms = method_terms(method, currency)
    plan = store.plan(direction.value, method)
    if terms is None or plan is None or not store.is_active:
        return Availability(method, is_available=False)
    if direction is Direction.PAYOUT:
        return _payout(store, mode, method, bank, currency, amount_minor, rate)
    if not store.payin_enabled:
        return Availability(method, is_available=False)

    def fits(amount: int) -> bool:
        if not terms.min_minor <= amount <= terms.max_minor:
            return False
        wanted = imagined(store, mode, method, bank, currency, amount, rate)
        return match(wanted, reserve=False).taken is not None

    if fits(amount_minor):
        return Availability(method, is_available=True)
    edges = payin_edges(
        _corner(store, mode, method, bank, currency),
        amount_minor,
        rate_micros=rate.micros,
        fiat_scale=10 ** get_currency(currency).exponent,
        settlement_scale=10 ** get_currency(store.settlement_currency).exponent,
    )
    below = None if edges.below_minor is None else min(edges.below_minor, terms.max_minor)
    above = None if edges.above_minor is None else max(edges.above_minor, terms.min_minor)
    return Availability(
        method,
        is_available=False,
        below_minor=below if below is not None and fits(below) else None,
        above_minor=above if above is not None and fits(above) else None,
    )


def _corner(store: StoreTerms, mode: Mode, method: str, bank: str | None, currency: str) -> Corner:
    return Corner(
        mode.value, method, currency, bank, store.traffic_for(mode).pinned, store.traffic_for(mode).excluded
    )


def _payout(
    store: StoreTerms,
    mode: Mode,
    method: str,
    bank: str | None,
    currency: str,
    amount_minor: int,
    rate: RateQuote,
) -> Availability:
    """A payout is served when the store can pay for it and some trader could be offered it."""
    terms, plan = method_terms(method, currency), store.plan("payout", method)
    if terms is None or plan is None or not store.payout_enabled:
        return Availability(method, is_available=False)
    if not terms.min_minor <= amount_minor <= terms.max_minor:
        return Availability(method, is_available=False)
    value = settlement_of(amount_minor, currency, store.settlement_currency, rate.micros)
    split = split_of(
        value, plan.store_fee_bps, plan.fixed_minor, plan.trader_commission_bps, plan.lead_commission_bps,
        is_payin=False,
    )  # fmt: skip
    funds = balance_minor(OwnerKind.STORE, store.id, AccountKind.AVAILABLE, store.settlement_currency, mode)
    is_covered = funds >= split.payout_cost_minor
    corner = _corner(store, mode, method, bank, currency)
    return Availability(method, is_covered and bool(list_payout_takers(corner, amount_minor, limit=1)))
