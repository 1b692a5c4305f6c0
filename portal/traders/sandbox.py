"""Virtual traders of test mode: what a shop's test orders are matched with, in every installation.

They exist in test mode only, hold test money, and no person stands behind them: test orders are driven by
the API's test calls.
"""

from __future__ import annotations

import uuid

from sqlalchemy import func, select

from portal.core.actors import SYSTEM
from portal.core.db import db
from portal.core.modes import Mode
from portal.ledger.service import deposit
from portal.reference.example_numbers import example_number
from portal.reference.queries import (
    default_settlement_currency,
    list_banks,
    list_currencies,
    list_methods,
    method_terms,
)
from portal.traders.models import Requisite, Trader
from portal.traders.seeding import add_approved_requisite
from portal.traders.service import (
    NewRequisite,
    create_trader,
    set_working,
    verify_trader,
)

NAME = "Sandbox"
REQUISITES_EACH = 5
_DEPOSIT_ID = uuid.UUID("00000000-0000-7000-8000-73616e64626f")
_DEPOSIT_MINOR = 10**15


def seed_sandbox() -> int:
    """Add the sandbox trader and the test requisites that are missing; how many were added. Repeatable."""
    trader = db.session.scalar(select(Trader).where(Trader.mode == Mode.TEST.value, Trader.name == NAME))
    if trader is None:
        trader = create_trader(NAME, mode=Mode.TEST, actor=SYSTEM)
        verify_trader(trader.id)
        set_working(trader.id, True)
        deposit(
            trader.id, _DEPOSIT_MINOR, default_settlement_currency(), Mode.TEST, subject_id=_DEPOSIT_ID,
            reference="sandbox", actor=SYSTEM,
        )  # fmt: skip
    return sum(
        _fill(trader, method.code, currency.code)
        for currency in list_currencies()
        if not currency.is_settlement
        for method in list_methods(currency.code)
    )


def _fill(trader: Trader, method: str, currency: str) -> int:
    """Bring one method of one currency to its number of requisites, over its first banks."""
    terms = method_terms(method, currency)
    assert terms is not None
    there = db.session.scalar(
        select(func.count()).where(
            Requisite.trader_id == trader.id, Requisite.method == method, Requisite.currency == currency
        )
    )
    banks: list[str | None] = [bank.code for bank in list_banks(method, currency)]
    missing = range(there or 0, REQUISITES_EACH)
    for n in missing:
        new = NewRequisite(
            method=method, currency=currency, number=example_number(method, currency, 9000 + n),
            holder="SANDBOX TRADER", bank=banks[n % len(banks)] if banks else None, min_amount=terms.min_minor,
            max_amount=terms.max_minor, max_open_orders=1000,
        )  # fmt: skip
        add_approved_requisite(trader.id, new)
    return len(missing)
