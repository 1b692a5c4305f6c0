"""Conditions are checked when they are written, and hold only when what they ask is known and so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.errors import ValidationFailed
from portal.risk.facts import FactBook, OrderFacts
from portal.risk.rules import all_hold, as_json, read_conditions

Facts = Callable[..., OrderFacts]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_given_is_read_or_refused(given_conditions: Any) -> None:
    try:
        read = read_conditions(given_conditions)
    except ValidationFailed:
        return
    assert read_conditions(as_json(read)) == read


@pytest.mark.parametrize(
    "condition",
    [
        {"fact": "no_such_fact", "op": "eq", "value": 1},
        {"fact": "amount", "op": "ge", "value": 1500},
        {"fact": "amount", "op": "ge", "value": "NaN"},
        {"fact": "amount", "op": "ge", "value": "-1"},
        {"fact": "amount", "op": "starts_with", "value": "1"},
        {"fact": "customer_orders", "op": "gt", "value": 5},
        {"fact": "customer_orders", "op": "gt", "value": "5", "minutes": 60},
        {"fact": "customer_orders", "op": "gt", "value": True, "minutes": 60},
        {"fact": "customer_orders", "op": "gt", "value": 5, "minutes": 0},
        {"fact": "customer_orders", "op": "gt", "value": 5, "minutes": 10**9},
        {"fact": "hour", "op": "lt", "value": 6, "minutes": 60},
        {"fact": "ip", "op": "in_network", "value": ["203.0.113.0/33"]},
        {"fact": "ip", "op": "in_network", "value": ["203.0.113.7/24"]},
        {"fact": "ip", "op": "in_network", "value": []},
        {"fact": "ip", "op": "eq", "value": "203.0.113.7"},
        {"fact": "currency", "op": "in", "value": "RUB"},
        {"fact": "has_ip", "op": "eq", "value": "yes"},
        {"fact": "hour", "op": "lt", "value": 6, "else": 1},
        {"fact": "hour", "op": "~", "value": 6},
    ],
)
def test_an_impossible_condition_is_refused(condition: dict[str, Any]) -> None:
    with pytest.raises(ValidationFailed):
        read_conditions([condition])


def test_a_rule_has_at_least_one_condition() -> None:
    for nothing in ([], None, {}, "[]"):
        with pytest.raises(ValidationFailed):
            read_conditions(nothing)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"fact": "amount", "op": "ge", "value": "1500"}, True),
        ({"fact": "amount", "op": "gt", "value": "1500.00"}, False),
        ({"fact": "currency", "op": "in", "value": ["RUB", "KZT"]}, True),
        ({"fact": "currency", "op": "not_in", "value": ["RUB"]}, False),
        ({"fact": "method", "op": "eq", "value": "card"}, False),
        ({"fact": "method", "op": "ne", "value": "card"}, False),
        ({"fact": "ip", "op": "in_network", "value": ["198.51.100.0/24", "203.0.113.0/24"]}, True),
        ({"fact": "ip", "op": "not_in_network", "value": ["203.0.113.0/24"]}, False),
        ({"fact": "email_domain", "op": "eq", "value": "example.com"}, True),
        ({"fact": "card_bin", "op": "starts_with", "value": "4276"}, True),
        ({"fact": "hour", "op": "eq", "value": 2}, True),
        ({"fact": "has_customer", "op": "eq", "value": False}, True),
        ({"fact": "customer_orders", "op": "ge", "value": 0, "minutes": 60}, False),
    ],
)
def test_a_condition_holds_when_it_is_known_and_so(
    facts: Facts, condition: dict[str, Any], holds: bool
) -> None:
    """The clock says 23:30 UTC: half past two in Moscow. Method and customer are not told."""
    order = facts(
        at=datetime(2026, 5, 1, 23, 30, tzinfo=UTC),
        customer_ip="::ffff:203.0.113.7",
        customer_email="Ivan@Example.COM",
        recipient_bin="427638",
    )
    assert all_hold(read_conditions([condition]), FactBook(order)) is holds


def test_the_customers_past_is_counted_within_the_window(facts: Facts, past: Callable[..., Any]) -> None:
    past(5, customer_ref="c-1", status="completed", amount_minor=200_000)
    past(50, customer_ref="c-1")
    past(70, customer_ref="c-1", status="completed")
    past(5, customer_ref="c-2")
    past(5, customer_ref="c-1", mode="test")
    past(5, customer_ref="c-1", currency="KZT")
    book = FactBook(facts(customer_ref="c-1"))
    assert book.value("customer_orders", 60) == 3
    assert str(book.value("customer_amount", 60)) == "3000.00"
    assert book.value("customer_completed", 60) == 1
    assert book.value("customer_orders", 24 * 60) == 4
    assert FactBook(facts(customer_ref="c-3")).value("customer_orders", 60) == 0


def test_the_unpaid_streak_ends_at_the_last_completed_payin(facts: Facts, past: Callable[..., Any]) -> None:
    for minutes_ago, status in (
        (90, "expired"),
        (80, "completed"),
        (70, "expired"),
        (60, "cancelled"),
        (50, "expired"),
    ):
        past(minutes_ago, customer_ref="c-1", status=status)
    past(40, customer_ref="c-1", direction="payout")
    assert FactBook(facts(customer_ref="c-1")).value("customer_unpaid_streak") == 2
    assert FactBook(facts(customer_ref="c-2")).value("customer_unpaid_streak") == 0


def test_other_customers_on_the_address_are_counted_once_each(
    facts: Facts, past: Callable[..., Any], address: str
) -> None:
    for customer in ("c-1", "c-2", "c-2", "c-3", None):
        past(5, customer_ref=customer, customer_ip=address)
    past(90, customer_ref="c-4", customer_ip=address)
    book = FactBook(facts(customer_ref="c-1", customer_ip=address))
    assert book.value("ip_customers", 60) == 2
    assert book.value("ip_orders", 60) == 5


def test_the_age_of_the_store_is_known(facts: Facts) -> None:
    assert FactBook(facts()).value("store_age_days") == 0
    assert FactBook(facts(at=datetime.now(UTC) + timedelta(days=3, hours=1))).value("store_age_days") == 3
