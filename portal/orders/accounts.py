"""The ledger accounts that one order moves."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from portal.core.db import run_in_transaction
from portal.core.modes import Mode
from portal.ledger.accounts import (
    AccountOf,
    account_id,
    generation,
    known_id,
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


class _Whose(NamedTuple):
    """Whose accounts an order moves, in which currencies."""

    store_id: uuid.UUID
    trader_id: uuid.UUID
    lead_id: uuid.UUID | None
    settlement: str
    fiat: str
    mode: Mode


def accounts_of(order: OrderRecord) -> OrderAccounts:
    """Ids of all accounts of an order that has a trader; opens those that are not there yet.

    Needs transaction() for those that this process has not met before: see meet_accounts().
    """
    whose = _whose(order)
    try:
        return _met(whose, generation())
    except KeyError:
        return _resolved(whose, account_id)


def meet_accounts(order: OrderRecord) -> None:
    """See to it that accounts_of(order) needs no statement. Not inside run_in_one_statement()."""
    whose = _whose(order)
    try:
        _met(whose, generation())
    except KeyError:
        run_in_transaction(lambda: _resolved(whose, account_id))


@lru_cache(maxsize=4096)
def _met(whose: _Whose, _generation: int) -> OrderAccounts:
    """Each order asks twice, and making the names of eight accounts takes longer than looking for all of them at once."""
    return _resolved(whose, known_id)


def _resolved(whose: _Whose, id_of: Callable[[AccountOf], int]) -> OrderAccounts:
    lead = None
    if whose.lead_id is not None:
        lead = lead_account(whose.lead_id, AccountKind.AVAILABLE, whose.settlement, whose.mode)
    ids = {name: id_of(account) for name, account in _accounts(whose).items()}
    return OrderAccounts(
        settlement_currency=whose.settlement,
        fiat_currency=whose.fiat,
        lead_available=id_of(lead) if lead else None,
        **ids,
    )


def _accounts(whose: _Whose) -> dict[str, AccountOf]:
    mode, settlement, fiat = whose.mode, whose.settlement, whose.fiat
    return {
        "store_available": store_account(whose.store_id, AccountKind.AVAILABLE, settlement, mode),
        "store_held": store_account(whose.store_id, AccountKind.HELD, settlement, mode),
        "trader_available": trader_account(whose.trader_id, AccountKind.AVAILABLE, settlement, mode),
        "trader_held": trader_account(whose.trader_id, AccountKind.HELD, settlement, mode),
        "trader_fiat": trader_account(whose.trader_id, AccountKind.FIAT, fiat, mode),
        "platform_revenue": platform_account(AccountKind.REVENUE, settlement, mode),
        "world_fiat": world_account(AccountKind.FIAT, fiat, mode),
    }


def _whose(order: OrderRecord) -> _Whose:
    assert order.trader_id is not None
    lead_id = get_trader_terms(order.trader_id).lead_id
    return _Whose(
        order.store_id, order.trader_id, lead_id, order.settlement_currency, order.currency, Mode(order.mode)
    )


def store_accounts(order: OrderRecord) -> tuple[int, int]:
    """Ids of the store's `available` and `held` in the order's settlement currency."""
    mode, currency = Mode(order.mode), order.settlement_currency
    return (
        account_id(store_account(order.store_id, AccountKind.AVAILABLE, currency, mode)),
        account_id(store_account(order.store_id, AccountKind.HELD, currency, mode)),
    )
