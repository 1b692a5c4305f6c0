"""How a settlement amount is divided: exactly, and to nobody's loss where the plan leaves none to make."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portal.ledger.entries import Split
from portal.orders.pricing import split_of

pytestmark = pytest.mark.proves("tried C4")


def terms(most: int = 5000) -> st.SearchStrategy[tuple[int, int, int]]:
    """Store, trader and lead in basis points; often with nothing left for the platform."""
    parts = st.tuples(st.integers(0, most // 2), st.integers(0, most // 2))
    left = st.sampled_from([0, 0, 0, 1, 7, 150])
    return st.builds(lambda two, more: (sum(two) + more, *two), parts, left)


def split(value: int, bps: tuple[int, int, int], fixed: int = 0) -> Split:
    return split_of(value, bps[0], fixed, bps[1], bps[2], is_payin=False)


# Small amounts and those of payments alike: where a fee is a few units, half of all plans meet the case.
VALUES = st.integers(1, 5000) | st.integers(1, 10**15)


@given(VALUES, terms(), st.sampled_from([0, 0, 1, 250_000]))
@example(209, (150, 120, 30), 0)
@settings(max_examples=600, deadline=None)
def test_the_parts_sum_up_and_the_platform_never_pays_for_a_plan_without_negative_margin(
    value: int, bps: tuple[int, int, int], fixed: int
) -> None:
    parts = split(value, bps, fixed)
    assert parts.trader_minor + parts.lead_minor + parts.platform_minor == parts.store_fee_minor
    assert min(parts.platform_minor, parts.trader_minor, parts.lead_minor) >= 0


@given(VALUES, terms(), st.sampled_from([0, 0, 1, 250_000]))
@settings(max_examples=600, deadline=None)
def test_each_part_is_within_a_unit_of_its_exact_value(
    value: int, bps: tuple[int, int, int], fixed: int
) -> None:
    parts = split(value, bps, fixed)
    given_out = (parts.store_fee_minor - fixed, parts.trader_minor, parts.lead_minor)
    for part, share in zip(given_out, bps, strict=True):
        assert abs(part - Fraction(value * share, 10_000)) < 1


@given(st.integers(1, 3000) | st.integers(1, 10**12), terms(), st.integers(1, 400))
@settings(max_examples=300, deadline=None)
def test_more_money_never_gives_anybody_less(value: int, bps: tuple[int, int, int], steps: int) -> None:
    before = split(value, bps)
    for more in range(value + 1, value + steps):
        after = split(more, bps)
        for part in ("store_fee_minor", "trader_minor", "lead_minor"):
            assert getattr(before, part) <= getattr(after, part), (more, part)
        assert (
            before.settlement_minor - before.store_fee_minor <= after.settlement_minor - after.store_fee_minor
        )
        before = after


@pytest.mark.parametrize(
    ("bps", "value", "fee", "trader", "lead"),
    [
        ((150, 120, 30), 208, 3, 2, 1),  # 3.12 = 2.496 + 0.624: as each is rounded
        ((150, 120, 30), 209, 3, 2, 1),  # 3.135 = 2.508 + 0.627: the trader came last and waits
        ((150, 120, 30), 234, 4, 3, 1),  # 3.51 = 2.808 + 0.702: the fee has it
        ((150, 30, 120), 209, 3, 1, 2),  # the lead came last
        ((150, 75, 75), 67, 1, 1, 0),  # both at once: the lead
        ((151, 120, 30), 209, 3, 2, 1),  # a rest that is too small for a unit is no unit
    ],
)
def test_the_unit_that_is_not_there_is_awaited_by_whoever_came_last(
    bps: tuple[int, int, int], value: int, fee: int, trader: int, lead: int
) -> None:
    parts = split(value, bps)
    assert (parts.store_fee_minor, parts.trader_minor, parts.lead_minor) == (fee, trader, lead)


@given(VALUES, st.integers(0, 2500), st.integers(0, 2500), st.integers(1, 300))
@settings(deadline=None)
def test_a_negative_margin_that_was_allowed_is_not_cut(
    value: int, trader: int, lead: int, short: int
) -> None:
    store = max(trader + lead - short, 0)
    parts = split(value, (store, trader, lead))
    if trader + lead > store:
        assert parts.trader_minor == (value * trader * 2 + 10_000) // 20_000
        assert parts.lead_minor == (value * lead * 2 + 10_000) // 20_000
