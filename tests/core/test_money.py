"""Amounts are exact integers; what is not an amount is refused."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.money import (
    AmountError,
    divide_half_even,
    format_amount,
    parse_amount,
    settlement_minor,
    share_half_up,
)


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "sNaN", "Infinity", "-1", "0", "-0", "+5", "0.00", "1e3", "1_000", " 100 ", "١٠٠", "１００", "²",
        "100\n", "1,00", "0x10", "010", "", ".5", "5.", "1.5.5", "9" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_an_amount_is_refused(text: str) -> None:
    with pytest.raises(AmountError):
        parse_amount(text, 2)


@pytest.mark.parametrize("value", [1500, 15.0, True, None, ["1"], {"$gt": 0}])
def test_only_strings_are_amounts(value: object) -> None:
    with pytest.raises(AmountError, match="string"):
        parse_amount(value, 2)


def test_more_decimals_than_the_currency_has_are_refused_and_never_rounded() -> None:
    with pytest.raises(AmountError) as refusal:
        parse_amount("1.239", 2)
    assert refusal.value.code == "too_many_decimals"
    assert parse_amount("1.5", 2) == 150
    with pytest.raises(AmountError):
        parse_amount("1.5", 0)


@given(st.integers(1, 10**15), st.integers(0, 6))
def test_writing_and_reading_an_amount_loses_nothing(minor: int, exponent: int) -> None:
    assert parse_amount(format_amount(minor, exponent), exponent) == minor


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**20))
def test_division_rounds_half_to_even(numerator: int, denominator: int) -> None:
    quotient, remainder = divmod(numerator, denominator)
    rounded = divide_half_even(numerator, denominator)
    assert rounded in {quotient, quotient + 1}
    twice = 2 * remainder
    if twice == denominator:
        assert rounded % 2 == 0
    else:
        assert rounded == (quotient + 1 if twice > denominator else quotient)


@pytest.mark.proves("tried C5")
@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_a_tie_goes_to_the_even_neighbour(quotient: int, half: int) -> None:
    """Drawn as ties: among drawn pairs there is hardly one."""
    rounded = divide_half_even((2 * quotient + 1) * half, 2 * half)
    assert rounded == quotient + quotient % 2
    assert settlement_minor(2 * quotient + 1, 0, 0, 2_000_000) == quotient + quotient % 2


@given(st.integers(0, 10**15), st.integers(0, 5000))
def test_a_share_is_rounded_half_up(amount: int, bps: int) -> None:
    exact = Decimal(amount) * bps / 10_000
    assert share_half_up(amount, bps) == int(exact.to_integral_value(ROUND_HALF_UP))


@given(st.integers(1, 10**12), st.integers(10_000, 10**12))
def test_settlement_is_the_exact_quotient_rounded_half_even(amount: int, rate: int) -> None:
    exact = Decimal(amount) * 10**10 / Decimal(rate)
    assert settlement_minor(amount, 2, 6, rate) == int(exact.to_integral_value(ROUND_HALF_EVEN))


def test_the_example_of_the_api_settles_as_documented() -> None:
    assert settlement_minor(150_000, 2, 6, 95_000_000) == 15_789_474
    assert share_half_up(15_789_474, 300) == 473_684
