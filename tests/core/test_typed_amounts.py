"""Amounts as people type them: read as they were meant, or refused; never read as another amount."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.money import AmountError, grouped, parse_typed_amount


@pytest.mark.parametrize(
    ("typed", "mark", "exponent", "minor"),
    [
        ("1400", ".", 2, 140_000),
        ("1400.5", ".", 2, 140_050),
        ("1400,50", ".", 2, 140_050),
        ("1 400,50", ",", 2, 140_050),
        ("1\u00a0400\u202f000", ",", 2, 140_000_000),
        ("1,400.50", ".", 2, 140_050),
        ("1.400,50", ",", 2, 140_050),
        ("1,400,000", ".", 2, 140_000_000),
        ("1.400.000", ",", 0, 1_400_000),
        ("1'400", ".", 2, 140_000),
        ("1,400", ".", 2, 140_000),
        ("1,400", ".", 3, 1_400_000),
        ("1,400", ",", 3, 1_400),
        ("1.400", ".", 3, 1_400),
        ("500,000", ",", 3, 500_000),
        (" 12 ", ".", 0, 12),
    ],
)
def test_what_people_type_is_read_as_they_mean_it(typed: str, mark: str, exponent: int, minor: int) -> None:
    assert parse_typed_amount(typed, exponent, mark) == minor


@pytest.mark.parametrize(
    ("typed", "mark", "code"),
    [
        ("1,400", ",", "too_many_decimals"),
        ("1.400", ".", "too_many_decimals"),
        ("14,00.50", ".", "malformed"),
        ("12 34", ".", "malformed"),
        ("1 400 50", ".", "malformed"),
        ("1,400 000", ".", "malformed"),
        ("1.4.00", ".", "malformed"),
        ("1400,", ",", "malformed"),
        (",50", ",", "malformed"),
        ("-5", ".", "malformed"),
        ("1e3", ".", "malformed"),
        ("\u0661\u0662", ".", "malformed"),
        ("0,00", ",", "not_positive"),
        ("", ".", "malformed"),
    ],
)
def test_what_could_mean_something_else_is_refused(typed: str, mark: str, code: str) -> None:
    with pytest.raises(AmountError) as refused:
        parse_typed_amount(typed, 2, mark)
    assert refused.value.code == code


@given(st.integers(1, 10**15), st.sampled_from([0, 2, 3, 6]), st.sampled_from(["en", "ru"]))
def test_what_our_pages_write_is_read_as_the_same_amount(minor: int, exponent: int, language: str) -> None:
    shown = grouped(Decimal(minor).scaleb(-exponent), language, exponent, exponent)
    assert parse_typed_amount(shown, exponent, "," if language == "ru" else ".") == minor
