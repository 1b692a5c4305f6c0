"""What an order is worth in settlement currency, and how that is divided."""

from __future__ import annotations

from portal.core.errors import ValidationFailed
from portal.core.money import BPS, settlement_minor, share_half_up
from portal.ledger.entries import Split
from portal.orders.record import OrderRecord
from portal.reference.queries import get_currency


def settlement_of(amount_minor: int, currency: str, settlement_currency: str, rate_micros: int) -> int:
    """Settlement minor units of a fiat amount at a frozen rate, rounded half-even.

    Raises ValidationFailed when the amount is worth less than one minor unit.
    """
    value = settlement_minor(
        amount_minor, get_currency(currency).exponent, get_currency(settlement_currency).exponent, rate_micros
    )
    if value < 1:
        raise ValidationFailed.of("amount", "too_small", "The amount is too small to be settled.")
    return value


def split_of(
    value_minor: int, store_fee_bps: int, fixed_minor: int, trader_bps: int, lead_bps: int, *, is_payin: bool
) -> Split:
    """Fees of a settlement amount, each rounded half-up, commissions cut by `commissions_of`; the rest is the platform's.

    Raises ValidationFailed when a payin would not cover its own fee.
    """
    fee = share_half_up(value_minor, store_fee_bps) + fixed_minor
    if is_payin and fee > value_minor:
        raise ValidationFailed.of("amount", "too_small", "The amount does not cover the fee.")
    trader, lead = commissions_of(value_minor, fee, store_fee_bps, trader_bps, lead_bps)
    return Split(settlement_minor=value_minor, store_fee_minor=fee, trader_minor=trader, lead_minor=lead)


def commissions_of(
    value_minor: int, fee_minor: int, store_fee_bps: int, trader_bps: int, lead_bps: int
) -> tuple[int, int]:
    """The trader's and the lead's minor units of a settlement amount whose store pays `fee_minor`.

    Each is rounded half-up. Where both rise and the fee does not, they would take one unit more than there is, from a
    platform whose rates leave it nothing to lose: whoever reached their half unit last waits for theirs until the fee
    has it (both at once: the lead). So each is within one unit of the exact value, and more money never gives anybody
    less. Rates that add up to more than the store's (a negative margin, allowed by its plan) are not cut.
    portal.orders.integrity.settlements says the same in SQL.
    """
    trader, lead = share_half_up(value_minor, trader_bps), share_half_up(value_minor, lead_bps)
    if trader + lead <= fee_minor or trader_bps + lead_bps > store_fee_bps:
        return trader, lead
    # How far each is past the amount at which it reached the half, both times both rates.
    trader_since = (value_minor * trader_bps % BPS - BPS // 2) * lead_bps
    lead_since = (value_minor * lead_bps % BPS - BPS // 2) * trader_bps
    return (trader - 1, lead) if trader_since < lead_since else (trader, lead - 1)


def price(order: OrderRecord, received_minor: int | None = None) -> Split:
    """The split of an order by its frozen rate and plan, for what was received where that differs."""
    value = order.settlement_minor
    if received_minor is not None and received_minor != order.amount_minor:
        value = settlement_of(received_minor, order.currency, order.settlement_currency, order.rate_micros)
    return split_of(
        value,
        order.store_fee_bps,
        order.fixed_fee_minor,
        order.trader_commission_bps,
        order.lead_commission_bps,
        is_payin=order.is_payin,
    )
