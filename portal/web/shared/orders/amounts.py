"""The amounts of an order, each to whom it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from flask_babel import gettext as _

from portal.orders.models import Status
from portal.orders.pricing import price
from portal.orders.record import OrderRecord


class Share(StrEnum):
    """Whose part of the settlement amount somebody may see."""

    STORE = "store"
    TRADER = "trader"
    LEAD = "lead"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class AmountLine:
    """One amount in minor units of its currency; `is_sum` is what comes out."""

    label: str
    minor: int
    currency: str
    is_sum: bool = False


def amount_lines(order: OrderRecord, shares: frozenset[Share]) -> list[AmountLine]:
    """Fiat, then the settlement amount and the parts of it that may be seen."""
    lines = [AmountLine(_("Amount"), order.amount_minor, order.currency)]
    if order.amount_received_minor and order.amount_received_minor != order.amount_minor:
        lines.append(AmountLine(_("Received"), order.amount_received_minor, order.currency))
    if order.amount_reported_minor:
        words = _("Reported by the receiver, not agreed to yet")
        lines.append(AmountLine(words, order.amount_reported_minor, order.currency))
    currency, split = order.settlement_currency, price(order)
    lines.append(AmountLine(_("Settlement"), order.settlement_minor, currency))
    if order.is_final and order.status != Status.COMPLETED:
        # Nothing was settled: nobody gets a part of it.
        return lines
    # A payin holds the trader's deposit, a payout the store's balance.
    if order.hold_minor and (Share.TRADER if order.is_payin else Share.STORE) in shares:
        lines.append(AmountLine(_("On hold now"), order.hold_minor, currency))
    if Share.STORE in shares:
        net = order.settlement_minor + order.fee_minor * (-1 if order.is_payin else 1)
        lines.append(AmountLine(_("Fee of the store"), order.fee_minor, currency))
        lines.append(AmountLine(_outcome(order), net, currency, is_sum=True))
    parts = (
        (Share.TRADER, _("Commission of the trader"), split.trader_minor),
        (Share.LEAD, _("Commission of the team lead"), split.lead_minor),
        (Share.PLATFORM, _("Left for the platform"), split.platform_minor),
    )
    lines += [AmountLine(words, minor, currency) for share, words, minor in parts if share in shares]
    return lines


def _outcome(order: OrderRecord) -> str:
    if order.status == Status.COMPLETED:
        return _("Credited to the store") if order.is_payin else _("Charged to the store")
    return _("Would be credited to the store") if order.is_payin else _("Would be charged to the store")
