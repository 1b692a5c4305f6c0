"""The ledger accounts that one order moves."""

from __future__ import annotations

from portal.core.modes import Mode
from portal.ledger.accounts import (
    account_id,
    lead_account,
    platform_account,
    store_account,
    trader_account,
    world_account,
)
from portal.ledger.entries import OrderAccounts
from portal.ledger.models import AccountKind
from portal.orders.record import OrderRecord
from portal.traders.queries import get_trader_terms


def accounts_of(order: OrderRecord) -> OrderAccounts:
    """Ids of all accounts of an order that has a trader; opens those that are not there yet."""
    assert order.trader_id is not None
    mode, currency = Mode(order.mode), order.settlement_currency
    lead_id = get_trader_terms(order.trader_id).lead_id
    return OrderAccounts(
        settlement_currency=currency,
        fiat_currency=order.currency,
        store_available=account_id(store_account(order.store_id, AccountKind.AVAILABLE, currency, mode)),
        store_held=account_id(store_account(order.store_id, AccountKind.HELD, currency, mode)),
        trader_available=account_id(trader_account(order.trader_id, AccountKind.AVAILABLE, currency, mode)),
        trader_held=account_id(trader_account(order.trader_id, AccountKind.HELD, currency, mode)),
        trader_fiat=account_id(trader_account(order.trader_id, AccountKind.FIAT, order.currency, mode)),
        lead_available=account_id(lead_account(lead_id, AccountKind.AVAILABLE, currency, mode))
        if lead_id
        else None,
        platform_revenue=account_id(platform_account(AccountKind.REVENUE, currency, mode)),
        world_fiat=account_id(world_account(AccountKind.FIAT, order.currency, mode)),
    )


def store_accounts(order: OrderRecord) -> tuple[int, int]:
    """Ids of the store's `available` and `held` in the order's settlement currency."""
    mode, currency = Mode(order.mode), order.settlement_currency
    return (
        account_id(store_account(order.store_id, AccountKind.AVAILABLE, currency, mode)),
        account_id(store_account(order.store_id, AccountKind.HELD, currency, mode)),
    )
