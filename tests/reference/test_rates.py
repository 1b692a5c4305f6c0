"""A rate is fresh and right, or there is none: never a silent old value."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError

from portal.core.actors import Actor, ActorKind
from portal.core.db import db, transaction
from portal.reference import queries, rate_feed, service
from portal.reference.errors import RateDeviates, RateUnavailable, UnknownRatePair
from portal.reference.models import RateHistory, RatePair
from portal.reference.queries import current_rate, with_spread
from portal.reference.rate_feed import FeedError, rate_in
from portal.reference.snapshot import forget_all

ADMIN = Actor(ActorKind.ADMIN)
MICROS = st.integers(service.MIN_RATE_MICROS, service.MAX_RATE_MICROS)
SPREADS = st.integers(0, 5000)


@given(MICROS, SPREADS)
def test_the_spread_is_always_the_platforms_and_exact_to_the_micro(raw: int, spread: int) -> None:
    payin, payout = with_spread(raw, spread, "payin"), with_spread(raw, spread, "payout")
    assert 0 < payout <= raw <= payin
    assert 0 <= payin - Decimal(raw) * (10_000 + spread) / 10_000 < 1
    assert 0 <= Decimal(raw) * (10_000 - spread) / 10_000 - payout < 1


@given(MICROS, st.integers(1, 10**6), SPREADS)
def test_a_higher_rate_stays_higher_with_the_spread(raw: int, more: int, spread: int) -> None:
    for direction in ("payin", "payout"):
        assert with_spread(raw, spread, direction) <= with_spread(raw + more, spread, direction)


@given(MICROS)
def test_a_rate_in_a_document_is_read_exactly(micros: int) -> None:
    exact = Decimal(micros) / 1_000_000
    document = json.loads(
        f'{{"rates": [{exact:f}], "text": "{exact:f}"}}', parse_float=Decimal, parse_int=Decimal
    )
    assert rate_in(document, "/rates/0") == micros
    assert rate_in(document, "/text") == micros


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"a": Decimal(1)}, "/b"),
        ({"a": Decimal(1)}, "/a/b"),
        ({"a": [Decimal(1)]}, "/a/1"),
        ({"a": [Decimal(1)]}, "/a/x"),
        ({"a": True}, "/a"),
        ({"a": None}, "/a"),
        ({"a": {}}, "/a"),
        ({"a": "ninety"}, "/a"),
        ({"a": "NaN"}, "/a"),
        ({"a": "Infinity"}, "/a"),
        ({"a": Decimal("1e400")}, "/a"),
        ([], "/0"),
        (None, "/a"),
    ],
)
def test_what_is_not_a_rate_is_not_taken_for_one(document: Any, pointer: str) -> None:
    with pytest.raises(FeedError):
        rate_in(document, pointer)


def test_a_pointer_names_keys_with_slashes_and_tildes() -> None:
    assert rate_in({"a/b": {"~": Decimal(2)}}, "/a~1b/~0") == 2_000_000


def set_rate(fiat: str, micros: int, **options: Any) -> None:
    with transaction():
        service.set_rate("USDT", fiat, micros, ADMIN, **options)


def use_feed(fiat: str) -> None:
    with transaction():
        service.use_feed("USDT", fiat, f"https://rates.example/{fiat}?key=secret", "/price")


def make_due(fiat: str) -> None:
    with transaction():
        db.session.execute(
            text("UPDATE rate_pair SET next_refresh_at = now() - interval '1 second' WHERE quote = :quote"),
            {"quote": fiat},
        )


def pair(fiat: str) -> RatePair:
    db.session.rollback()
    found = db.session.get(RatePair, ("USDT", fiat), populate_existing=True)
    assert found is not None
    return found


def history(fiat: str) -> list[RateHistory]:
    return list(
        db.session.scalars(select(RateHistory).where(RateHistory.quote == fiat).order_by(RateHistory.id))
    )


def test_a_rate_set_by_hand_is_in_force_at_once_with_the_spread(fiat: str) -> None:
    with transaction():
        service.change_terms("USDT", fiat, service.PairTerms(spread_bps=150))
    set_rate(fiat, 95_000_000)
    payin, payout = current_rate(fiat, "USDT", "payin"), current_rate(fiat, "USDT", "payout")
    assert (payin.micros, payout.micros) == (96_425_000, 93_575_000)
    assert payin.source == "manual"
    (row,) = history(fiat)
    assert (row.raw_micros, row.payin_micros, row.payout_micros) == (95_000_000, 96_425_000, 93_575_000)
    assert (row.accepted, row.actor_kind) == (True, "admin")


def test_no_rate_is_refused_and_not_the_callers_fault(fiat: str) -> None:
    with pytest.raises(RateUnavailable) as refused:
        current_rate(fiat, "USDT", "payin")
    assert (refused.value.code, refused.value.status) == ("rate_unavailable", 503)
    assert refused.value.retry_after_s
    with pytest.raises(RateUnavailable):
        current_rate("XXX", "USDT", "payin")


def test_a_stale_rate_is_refused_even_while_it_is_remembered(
    fiat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction():
        service.change_terms("USDT", fiat, service.PairTerms(stale_after_s=60))
    set_rate(fiat, 95_000_000)
    seen_at = current_rate(fiat, "USDT", "payin").observed_at
    monkeypatch.setattr(queries, "database_now", lambda: seen_at + timedelta(seconds=59))
    assert current_rate(fiat, "USDT", "payin").micros == 95_000_000
    monkeypatch.setattr(queries, "database_now", lambda: seen_at + timedelta(seconds=61))
    with pytest.raises(RateUnavailable):
        current_rate(fiat, "USDT", "payin")


def test_a_remembered_rate_costs_no_query(fiat: str) -> None:
    set_rate(fiat, 95_000_000)
    for _ in range(2):  # the first one loads the rates, the second the settings
        current_rate(fiat, "USDT", "payin")
    statements: list[str] = []
    listener = lambda *args: statements.append(args[2])  # noqa: E731 - the event wants one object to remove
    event.listen(db.engine, "before_cursor_execute", listener)
    try:
        for _ in range(100):
            current_rate(fiat, "USDT", "payin")
    finally:
        event.remove(db.engine, "before_cursor_execute", listener)
    assert statements == []


def test_a_rate_that_is_rolled_back_was_never_there(fiat: str) -> None:
    set_rate(fiat, 95_000_000)

    def change_and_fail() -> None:
        with transaction():
            service.set_rate("USDT", fiat, 96_000_000, ADMIN)
            assert current_rate(fiat, "USDT", "payin").micros == 96_000_000, "the writer sees its own rate"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert current_rate(fiat, "USDT", "payin").micros == 95_000_000


def test_a_slip_of_the_finger_is_refused_unless_forced(fiat: str) -> None:
    set_rate(fiat, 95_000_000)
    for slip in (950_000_000, 9_500_000, 99_750_001, 90_249_999):
        with pytest.raises(RateDeviates):
            set_rate(fiat, slip)
    set_rate(fiat, 99_750_000)
    set_rate(fiat, 950_000_000, force=True)
    assert current_rate(fiat, "USDT", "payin").micros == 950_000_000
    assert [row.raw_micros for row in history(fiat)] == [95_000_000, 99_750_000, 950_000_000]


def test_a_due_feed_is_fetched_once_and_taken(fiat: str) -> None:
    use_feed(fiat)
    asked: list[str] = []

    def document(url: str) -> Any:
        if fiat in url:
            asked.append(url)
        assert not db.session().in_transaction(), "no transaction is held while the feed is waited for"
        return {"price": "95.25"}

    make_due(fiat)
    assert rate_feed.refresh_now("USDT", fiat, document)
    rate_feed.refresh_due_rates(document)
    assert len(asked) == 1, "claimed until the next interval"
    quote = current_rate(fiat, "USDT", "payin")
    assert (quote.micros, quote.source) == (95_250_000, "rates.example"), "the source never shows the key"


def test_a_feed_that_jumps_is_recorded_and_not_taken(fiat: str) -> None:
    set_rate(fiat, 95_000_000)
    observed_at = pair(fiat).observed_at
    use_feed(fiat)
    assert not rate_feed.refresh_now("USDT", fiat, lambda _: {"price": Decimal("120.5")})
    assert current_rate(fiat, "USDT", "payin").micros == 95_000_000
    now = pair(fiat)
    assert now.observed_at == observed_at, "the old rate is not freshened: it goes stale by itself"
    assert now.consecutive_failures == 1
    last = history(fiat)[-1]
    assert (last.raw_micros, last.accepted) == (120_500_000, False)
    assert "5 %" in (last.refusal or "")
    assert rate_feed.refresh_now("USDT", fiat, lambda _: {"price": Decimal("95.5")})
    assert (pair(fiat).consecutive_failures, pair(fiat).last_error) == (0, None)


def test_a_feed_that_fails_is_asked_later_and_later(fiat: str) -> None:
    use_feed(fiat)

    def broken(_: str) -> Any:
        raise FeedError("the feed answered 500")

    waits = []
    for _ in range(3):
        make_due(fiat)
        rate_feed.refresh_due_rates(broken)
        state = pair(fiat)
        waits.append((state.next_refresh_at - datetime.now(UTC)).total_seconds())
    assert (state.consecutive_failures, state.last_error) == (3, "the feed answered 500")
    assert waits[0] < waits[1] < waits[2] < 900
    with pytest.raises(RateUnavailable):
        current_rate(fiat, "USDT", "payin")


def test_a_slow_old_answer_does_not_overwrite_a_newer_rate(fiat: str) -> None:
    use_feed(fiat)

    def slow(_: str) -> Any:
        set_rate(fiat, 96_000_000)
        return {"price": "95"}

    assert not rate_feed.refresh_now("USDT", fiat, slow)
    assert current_rate(fiat, "USDT", "payin").micros == 96_000_000
    assert history(fiat)[-1].refusal == "older than the rate in force"


@pytest.mark.parametrize(
    "url", ["http://rates.example/x", "https://127.0.0.1/x", "https://localhost/x", "file:///etc/passwd"]
)
def test_an_internal_address_is_never_asked_for_a_rate(fiat: str, url: str) -> None:
    with pytest.raises(FeedError):
        rate_feed.fetch_document(url)


def test_an_unknown_pair_has_no_rate_to_set(seeded: object) -> None:
    with pytest.raises(UnknownRatePair):
        set_rate("XXX", 1_000_000)


def test_the_database_keeps_the_history_of_rates(fiat: str) -> None:
    set_rate(fiat, 95_000_000)
    for statement in ("UPDATE rate_history SET raw_micros = 1", "DELETE FROM rate_history"):
        with pytest.raises(DBAPIError) as refused, transaction():
            db.session.execute(text(f"{statement} WHERE quote = :quote"), {"quote": fiat})
        assert isinstance(refused.value.orig, InsufficientPrivilege)
    assert [row.raw_micros for row in history(fiat)] == [95_000_000]


def test_another_process_hears_of_a_rate_within_a_second(fiat: str) -> None:
    """The other process is played by a second snapshot of the same tables, which only Redis can tell."""
    from portal.core.cache import LOOK_EVERY_S
    from portal.reference import queries
    from portal.reference.snapshot import Snapshot

    set_rate(fiat, 95_000_000)
    other = Snapshot("reference", queries.snapshot._load, lambda: 3600.0)
    assert other.get().rates["USDT", fiat].raw_micros == 95_000_000
    set_rate(fiat, 96_000_000)
    other._look_at -= LOOK_EVERY_S
    assert other.get().rates["USDT", fiat].raw_micros == 96_000_000
    forget_all()
