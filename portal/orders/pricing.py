"""What an order is worth in settlement currency, and how that is divided."""

from __future__ import annotations

from portal.core.errors import ValidationFailed
from portal.core.money import settlement_minor, share_half_up
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
    """Fees of a settlement amount, each rounded half-up; the rest is the platform's.

    Raises ValidationFailed when a payin would not cover its own fee.
    """
    fee = share_half_up(value_minor, store_fee_bps) + fixed_minor
    if is_payin and fee > value_minor:
        raise ValidationFailed.of("amount", "too_small", "The amount does not cover the fee.")
    return Split(
        settlement_minor=value_minor,
        store_fee_minor=fee,
        trader_minor=share_half_up(value_minor, trader_bps),
        lead_minor=share_half_up(value_minor, lead_bps),
    )


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
