"""What a deposit covers is one rule: the database's, the greatest amount that is named, and what is said to lack."""

from __future__ import annotations

import itertools

import pytest

from portal.core.db import hot
from portal.core.modes import Mode
from portal.core.money import settlement_minor
from portal.matching.deposit import COVERED_AMOUNT, lacking_minor
from portal.orders.availability import availability
from portal.orders.models import Direction
from tests.scene import USDT, Scene

_COVERS = """
SELECT deposit_covers(jsonb_populate_record(NULL::ledger_account, jsonb_build_object('balance', %(balance)s::bigint)),
                      %(hold)s) AS covers
"""
_GREATEST = f"SELECT {COVERED_AMOUNT} AS amount FROM (SELECT %(balance)s::bigint AS balance) a"


def covers(balance: int, hold: int) -> bool:
    return bool(hot(_COVERS, {"balance": balance, "hold": hold})[0]["covers"])


def greatest(balance: int, rate: int, exponent: int, settlement_exponent: int) -> int:
    scales = {"fiat_scale": 10**exponent, "settlement_scale": 10**settlement_exponent}
    return int(hot(_GREATEST, {"balance": balance, "rate": rate} | scales)[0]["amount"])


@pytest.mark.usefixtures("app")
def test_a_deposit_lacks_nothing_where_it_covers() -> None:
    for balance, hold in itertools.product((0, 1, 99, 100, 101), (1, 99, 100, 101)):
        assert covers(balance, hold) == (lacking_minor(balance, hold) == 0)
    assert lacking_minor(30, 100) == 70


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("exponents", [(2, 6), (2, 2), (0, 6), (2, 0), (3, 2)])
@pytest.mark.parametrize("rate", [95_000_000, 2_000_000, 1_000_000, 333_333, 41, 123_456_789])
def test_the_greatest_amount_is_covered_and_one_more_is_not(rate: int, exponents: tuple[int, int]) -> None:
    for balance in (1, 2, 3, 99, 100, 12_345_678, 10**12 + 1):
        amount = greatest(balance, rate, *exponents)
        assert covers(balance, settlement_minor(amount, *exponents, rate))
        assert not covers(balance, settlement_minor(amount + 1, *exponents, rate))
    assert greatest(0, rate, *exponents) == 0


def test_the_nearest_amount_that_is_named_is_the_last_one_the_deposit_covers(scene: Scene) -> None:
    scene.requisite(scene.trader(deposit_minor=20 * USDT))
    found = availability(scene.store, Mode.LIVE, Direction.PAYIN, "card", None, "RUB", 5000_00)
    assert (found.is_available, found.below_minor) == (False, 1900_00)
