"""`flask ledger`: all is well on a lived-in world, and each broken thing is found by the check that is for it."""

from __future__ import annotations

import json

import pytest
from flask import Flask

from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.core.ids import public_id
from portal.ledger.integrity import run_checks
from portal.ledger.models import AccountKind
from portal.orders.integrity.proof import CHECKS, TITLES
from portal.orders.queries import get_order
from portal.orders.service import cancel_order, claim_payin, confirm_payin
from tests.scene import Scene, as_trader, build_scene


@pytest.fixture
def lived_in(committed_db: Flask) -> Scene:
    """A payin completed with another amount, one cancelled, one open, a payout on offer."""
    with transaction():
        scene = build_scene()
    trader = scene.trader()
    scene.requisite(trader, window_s=3600, window_amount_limit=10_000_000_00)
    scene.fund_store()
    paid, cancelled = scene.payin(1500_00), scene.payin(1600_00)
    scene.payin(1700_00)
    scene.payout(1800_00)
    with transaction():
        order = claim_payin(get_order(paid.id, lock=True), None, actor=CUSTOMER)
        confirm_payin(order, 1499_00, actor=as_trader(trader))
        cancel_order(get_order(cancelled.id, lock=True), None, actor=CUSTOMER)
    return scene


def test_verify_says_that_everything_holds(lived_in: Scene, committed_db: Flask) -> None:
    result = committed_db.test_cli_runner().invoke(args=["ledger", "verify", "--json"])
    assert json.loads(result.output) == {"ok": True, "checks": len(TITLES), "findings": []}
    assert result.exit_code == 0


def test_verify_names_what_is_broken_and_exits_with_1(lived_in: Scene, committed_db: Flask) -> None:
    with transaction():
        hot("UPDATE requisite SET open_orders = open_orders + 1")
    try:
        result = committed_db.test_cli_runner().invoke(args=["ledger", "verify"])
    finally:
        with transaction():
            hot("UPDATE requisite SET open_orders = open_orders - 1")
    assert result.exit_code == 1
    assert "BROKEN  every requisite's counters equal its orders" in result.output


BREAKAGES = {
    "every trader's held deposit equals the holds of their payins": (
        "UPDATE orders SET hold_minor = hold_minor + 1 WHERE direction = 'payin' AND status = 'awaiting_payment'"
    ),
    "every store's held balance equals the holds of its payouts": (
        "UPDATE orders SET hold_minor = hold_minor + 1 WHERE direction = 'payout'"
    ),
    "every order's hold equals its postings": (
        "UPDATE orders SET hold_minor = hold_minor + 1 WHERE direction = 'payout'"
    ),
    "a completed order has one completion, any other order none": (
        "UPDATE orders SET status = 'completed', hold_minor = 0, due_at = NULL WHERE status = 'awaiting_payment'"
    ),
    "every requisite's counters equal its orders": "UPDATE requisite SET day_amount = day_amount + 1",
    "every order's requisite is of its trader and mode": (
        "UPDATE orders SET trader_id = gen_random_uuid() WHERE status = 'awaiting_payment'"
    ),
    "every order's timeline is lawful and without gaps": "DELETE FROM order_event WHERE event = 'claimed'",
    "every order has a timeline": "DELETE FROM order_event",
    "every end of an order was told": "DELETE FROM event WHERE type = 'order.completed'",
    "every running balance equals the sum of its postings": (
        "UPDATE ledger_account SET balance = balance + 1 WHERE owner_kind = 'trader'"
    ),
    "every entry sums to zero in every currency": (
        "UPDATE ledger_posting SET amount = amount + 1 WHERE id = (SELECT max(id) FROM ledger_posting)"
    ),
}


class Undone(Exception):
    """Ends a transaction that is to leave nothing."""


@pytest.mark.parametrize("check", BREAKAGES)
def test_each_breakage_is_found_by_its_check(lived_in: Scene, check: str) -> None:
    # As a superuser who has switched the database's own rules off.
    with pytest.raises(Undone):
        break_and_check(check)


def break_and_check(check: str) -> None:
    with transaction():
        hot("SET LOCAL session_replication_role = replica")
        hot("DELETE FROM webhook_delivery")
        hot(BREAKAGES[check])
        assert check in {finding.check for finding in run_checks(CHECKS)}
        raise Undone


def test_balance_shows_an_owners_accounts(lived_in: Scene, committed_db: Flask) -> None:
    owner = public_id("st", lived_in.store_id)
    result = committed_db.test_cli_runner().invoke(args=["ledger", "balance", "--owner", owner, "--json"])
    rows = {(row["account"], row["currency"]): row["minor"] for row in json.loads(result.output)}
    assert rows[("held", "USDT")] == lived_in.store_balance(AccountKind.HELD) > 0
    assert rows[("available", "USDT")] == lived_in.store_balance()


def test_balance_refuses_an_owner_it_does_not_know(committed_db: Flask) -> None:
    result = committed_db.test_cli_runner().invoke(args=["ledger", "balance", "--owner", "nobody"])
    assert result.exit_code == 2
    assert "nobody" in result.output
