"""Which accounts an event moves, and by how much: the table of docs/ledger.md as pure functions.

All amounts are minor units. A is an order's settlement amount, F its fiat amount; the split of A is
`Split`. Zero movements are allowed here and left out when the entry is posted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portal.ledger.models import EntryKind


@dataclass(frozen=True, slots=True)
class Movement:
    account_id: int
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Split:
    """How a settlement amount is divided. The platform's part is what remains, so the parts always sum up."""

    settlement_minor: int
    store_fee_minor: int
    trader_minor: int
    lead_minor: int

    @property
    def platform_minor(self) -> int:
        return self.store_fee_minor - self.trader_minor - self.lead_minor

    @property
    def payout_cost_minor(self) -> int:
        """What a payout takes from its store."""
        return self.settlement_minor + self.store_fee_minor


@dataclass(frozen=True, slots=True)
class OrderAccounts:
    """Ids of the accounts one order touches; `lead` is None when the trader has no lead."""

    settlement_currency: str
    fiat_currency: str
    store_available: int
    store_held: int
    trader_available: int
    trader_held: int
    trader_fiat: int
    lead_available: int | None
    platform_revenue: int
    world_fiat: int


@dataclass(frozen=True, slots=True)
class Posting:
    """An entry to be: its kind, which time it happens, and its movements."""

    kind: EntryKind
    round: int
    movements: Sequence[Movement]


def hold(accounts: OrderAccounts, amount_minor: int, *, round_: int) -> Posting:
    """Payin matched: trader.available -A, trader.held +A."""
    return Posting(EntryKind.PAYIN_MATCHED, round_, _move_hold(accounts, amount_minor))


def release(accounts: OrderAccounts, amount_minor: int, *, round_: int) -> Posting:
    """Payin expired, cancelled, matched again: trader.held -A, trader.available +A."""
    return Posting(EntryKind.PAYIN_RELEASED, round_, _move_hold(accounts, -amount_minor))


def _move_hold(accounts: OrderAccounts, amount_minor: int) -> list[Movement]:
    currency = accounts.settlement_currency
    return [
        Movement(accounts.trader_available, currency, -amount_minor),
        Movement(accounts.trader_held, currency, amount_minor),
    ]


def payin_completed(accounts: OrderAccounts, hold_minor: int, split: Split, fiat_minor: int) -> Posting:
    """The hold pays everybody; what is left of it (another amount received) goes back in the same entry."""
    currency = accounts.settlement_currency
    return Posting(
        EntryKind.PAYIN_COMPLETED,
        0,
        [
            Movement(accounts.trader_held, currency, -hold_minor),
            Movement(
                accounts.trader_available, currency, hold_minor - split.settlement_minor + split.trader_minor
            ),
            Movement(accounts.store_available, currency, split.settlement_minor - split.store_fee_minor),
            *_commissions(accounts, split),
            Movement(accounts.trader_fiat, accounts.fiat_currency, fiat_minor),
            Movement(accounts.world_fiat, accounts.fiat_currency, -fiat_minor),
        ],
    )


def payout_created(store_available: int, store_held: int, currency: str, total_minor: int) -> Posting:
    """Store.available -(A + f_s), store.held +(A + f_s)."""
    return Posting(
        EntryKind.PAYOUT_CREATED,
        0,
        [Movement(store_available, currency, -total_minor), Movement(store_held, currency, total_minor)],
    )


def payout_released(store_available: int, store_held: int, currency: str, total_minor: int) -> Posting:
    """Payout failed or cancelled: what was held goes back to the store."""
    return Posting(
        EntryKind.PAYOUT_RELEASED,
        0,
        [Movement(store_available, currency, total_minor), Movement(store_held, currency, -total_minor)],
    )


def payout_completed(accounts: OrderAccounts, hold_minor: int, split: Split, fiat_minor: int) -> Posting:
    """The store's hold pays the trader back and everybody's commission; the trader's fiat goes down."""
    currency = accounts.settlement_currency
    return Posting(
        EntryKind.PAYOUT_COMPLETED,
        0,
        [
            Movement(accounts.store_held, currency, -hold_minor),
            Movement(accounts.store_available, currency, hold_minor - split.payout_cost_minor),
            Movement(accounts.trader_available, currency, split.settlement_minor + split.trader_minor),
            *_commissions(accounts, split),
            Movement(accounts.trader_fiat, accounts.fiat_currency, -fiat_minor),
            Movement(accounts.world_fiat, accounts.fiat_currency, fiat_minor),
        ],
    )


def _commissions(accounts: OrderAccounts, split: Split) -> list[Movement]:
    currency = accounts.settlement_currency
    if accounts.lead_available is None:
        whole = split.platform_minor + split.lead_minor
        return [Movement(accounts.platform_revenue, currency, whole)]
    return [
        Movement(accounts.lead_available, currency, split.lead_minor),
        Movement(accounts.platform_revenue, currency, split.platform_minor),
    ]
