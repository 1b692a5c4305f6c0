"""The ledger accounts that one order moves."""

from __future__ import annotations

from portal.core.db import run_in_transaction
from portal.core.modes import Mode
from portal.ledger.accounts import (
    AccountOf,
    account_id,
    is_known,
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
    """Ids of all accounts of an order that has a trader; opens those that are not there yet.

    Needs transaction() for those that this process has not met before: see meet_accounts().
    """
    lead, ids = _lead_of(order), {name: account_id(account) for name, account in _accounts(order).items()}
    return OrderAccounts(
        settlement_currency=order.settlement_currency,
        fiat_currency=order.currency,
        lead_available=account_id(lead) if lead else None,
        **ids,
    )


def meet_accounts(order: OrderRecord) -> None:
    """See to it that accounts_of(order) needs no statement. Not inside run_in_one_statement()."""
    lead = _lead_of(order)
    accounts = [*_accounts(order).values(), *([lead] if lead else [])]
    if not all(map(is_known, accounts)):
        run_in_transaction(lambda: accounts_of(order))


def _accounts(order: OrderRecord) -> dict[str, AccountOf]:
    assert order.trader_id is not None
    mode, settlement, fiat = Mode(order.mode), order.settlement_currency, order.currency
    return {
        "store_available": store_account(order.store_id, AccountKind.AVAILABLE, settlement, mode),
        "store_held": store_account(order.store_id, AccountKind.HELD, settlement, mode),
        "trader_available": trader_account(order.trader_id, AccountKind.AVAILABLE, settlement, mode),
        "trader_held": trader_account(order.trader_id, AccountKind.HELD, settlement, mode),
        "trader_fiat": trader_account(order.trader_id, AccountKind.FIAT, fiat, mode),
        "platform_revenue": platform_account(AccountKind.REVENUE, settlement, mode),
        "world_fiat": world_account(AccountKind.FIAT, fiat, mode),
    }


def _lead_of(order: OrderRecord) -> AccountOf | None:
    assert order.trader_id is not None
    lead_id = get_trader_terms(order.trader_id).lead_id
    if lead_id is None:
        return None
    return lead_account(lead_id, AccountKind.AVAILABLE, order.settlement_currency, Mode(order.mode))


def store_accounts(order: OrderRecord) -> tuple[int, int]:
    """Ids of the store's `available` and `held` in the order's settlement currency."""
    mode, currency = Mode(order.mode), order.settlement_currency
    return (
        account_id(store_account(order.store_id, AccountKind.AVAILABLE, currency, mode)),
        account_id(store_account(order.store_id, AccountKind.HELD, currency, mode)),
    )
