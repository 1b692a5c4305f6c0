"""The accounts of an order are looked up once, and again when what was remembered says nothing any more."""

from __future__ import annotations

import pytest

from portal.core.db import transaction
from portal.core.observability.trace import traced
from portal.ledger.accounts import forget_accounts
from portal.orders.accounts import accounts_of, meet_accounts
from portal.orders.record import OrderRecord
from tests.scene import Scene


@pytest.fixture
def order(scene: Scene) -> OrderRecord:
    scene.requisite(scene.trader())
    return scene.payin()


def statements(order: OrderRecord) -> int:
    with traced("test") as trace, transaction():
        accounts_of(order)
    return trace.queries


def test_whose_accounts_were_met_are_known_without_a_statement(order: OrderRecord) -> None:
    meet_accounts(order)
    assert statements(order) == 0
    assert accounts_of(order) == accounts_of(order)


def test_what_is_forgotten_is_looked_up_again(order: OrderRecord) -> None:
    meet_accounts(order)
    known = accounts_of(order)
    forget_accounts()
    assert statements(order) > 0
    meet_accounts(order)
    assert statements(order) == 0
    assert accounts_of(order) == known


def test_accounts_of_two_traders_are_not_mixed_up(scene: Scene) -> None:
    first, second = scene.trader(), scene.trader()
    found = {}
    for trader, amount in ((first, 1500_00), (second, 1700_00), (first, 1600_00), (second, 1800_00)):
        scene.requisite(trader, min_amount=amount, max_amount=amount)
        order = scene.payin(amount)
        meet_accounts(order)
        held = found.setdefault(order.trader_id, accounts_of(order).trader_held)
        assert accounts_of(order).trader_held == held
    assert set(found) == {first.id, second.id}
    assert len(set(found.values())) == 2
