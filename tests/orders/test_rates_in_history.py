"""Orders are priced at rates that the history holds: any other is found, honest ones of every origin are not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.ledger.integrity import run_checks
from portal.orders.integrity.rates import CHECKS, with_spread_sql
from portal.orders.record import OrderRecord
from portal.reference import rate_feed, service
from portal.reference.queries import with_spread
from portal.reference.service import PairTerms, change_terms, set_rate, use_feed
from portal.reference.snapshot import forget_all
from tests.scene import Scene

PAIR = "base = 'USDT' AND quote = 'RUB'"
pytestmark = pytest.mark.proves("tried C11")


def told() -> list[str]:
    with transaction():
        return [example for finding in run_checks(CHECKS) for example in finding.examples]


def by_hand(change: str) -> None:
    """As the application's role may: no trigger is off."""
    with transaction():
        hot(f"UPDATE rate_pair SET {change} WHERE {PAIR}")
    forget_all()


def both(scene: Scene) -> tuple[OrderRecord, OrderRecord]:
    return scene.payin(), scene.payout()


@pytest.fixture
def shop(scene: Scene) -> Scene:
    scene.requisite(scene.trader())
    scene.fund_store()
    return scene


@pytest.mark.parametrize(
    "change",
    [
        "current_micros = current_micros + 1",
        "current_micros = current_micros / 2",
        "current_source = 'elsewhere'",
        "observed_at = observed_at - interval '10 s'",
        "observed_at = observed_at + interval '1 hour'",
        "spread_bps = 77",
    ],
)
def test_orders_at_a_rate_that_was_written_by_hand_are_found(shop: Scene, change: str) -> None:
    both(shop)
    assert told() == []
    by_hand(change)
    payin, payout = both(shop)
    found = "\n".join(told())
    assert f"order {payin.id}, and 0 more" in found
    assert f"order {payout.id}, and 0 more" in found


def test_a_rate_of_the_past_under_todays_time_is_found(shop: Scene) -> None:
    with transaction():
        set_rate("USDT", "RUB", 96_000_000, SYSTEM)
    by_hand("current_micros = 95000000")
    both(shop)
    assert len(told()) == 2


def test_a_refused_rate_is_found(shop: Scene) -> None:
    with transaction():
        use_feed("USDT", "RUB", "https://rates.example/x", "/price")
    assert not rate_feed.refresh_now("USDT", "RUB", lambda _: {"price": Decimal(200)})
    by_hand(
        "(current_micros, current_source, observed_at) = (SELECT raw_micros, source, observed_at FROM rate_history"
        " WHERE NOT accepted AND quote = 'RUB' ORDER BY id DESC LIMIT 1)"
    )
    both(shop)
    assert len(told()) == 2


def test_rates_set_by_hand_and_of_a_feed_hold_with_each_spread_they_had(shop: Scene) -> None:
    with transaction():
        use_feed("USDT", "RUB", "https://rates.example/x", "/price")
    for spread in (0, 33, 150):
        with transaction():
            change_terms("USDT", "RUB", PairTerms(spread_bps=spread))
        both(shop)
        with transaction():
            set_rate("USDT", "RUB", 95_111_111 + spread, SYSTEM)
        both(shop)
        assert rate_feed.refresh_now(
            "USDT", "RUB", lambda _, more=spread: {"price": Decimal("95.3333333") + more / Decimal(9999)}
        )
        both(shop)
    with transaction():
        assert hot("SELECT count(DISTINCT rate_micros) AS n FROM orders")[0]["n"] >= 15
    assert told() == []


def test_a_rate_whose_time_was_set_back_with_the_clock_holds(shop: Scene) -> None:
    by_hand("observed_at = observed_at + interval '1 hour'")
    with transaction():
        service.after_clock_set_back(timedelta(hours=1, minutes=1))
    forget_all()
    both(shop)
    assert told() == []


def test_a_rate_that_an_earlier_release_noted_some_moments_later_holds(shop: Scene) -> None:
    with transaction():
        at = hot(f"SELECT observed_at FROM rate_pair WHERE {PAIR}")[0]["observed_at"]
        hot("SET LOCAL session_replication_role = replica")
        hot(
            "UPDATE rate_history SET observed_at = observed_at + interval '40 ms' WHERE quote = 'RUB' AND observed_at = %(at)s",
            {"at": at},
        )
        hot("SET LOCAL session_replication_role = origin")
    both(shop)
    assert told() == []


@given(
    st.integers(service.MIN_RATE_MICROS, service.MAX_RATE_MICROS),
    st.integers(0, 5000),
    st.sampled_from(["payin", "payout"]),
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_proof_adds_the_spread_as_pricing_does(app: Flask, raw: int, spread: int, direction: str) -> None:
    sql = with_spread_sql("%(raw)s::bigint", "%(bps)s::int", "%(direction)s::text")
    with transaction():
        row = hot(f"SELECT {sql} AS micros", {"raw": raw, "bps": spread, "direction": direction})[0]
    assert row["micros"] == with_spread(raw, spread, direction)
