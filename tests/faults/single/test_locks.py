"""Locks that are held too long, transactions that lose races, and no connection left."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from portal.core.db import db, hot, run_in_transaction, transaction
from portal.events import readiness
from portal.orders.models import Status
from portal.orders.queries import get_order
from tests.api.conftest import code_of
from tests.faults.single.conftest import BOUNDS, Site
from tests.web.desk import path_of

LOCK_S = BOUNDS["db_lock_timeout_ms"] / 1000
ORDERS = 40
# Longer than anybody waits for a lock, tries included.
FROZEN_S = 5


@contextmanager
def locked_by_somebody(site: Site, order_id: uuid.UUID) -> Iterator[psycopg.Connection]:
    """A client that holds the order's row and says nothing more; the server ends it as it would end ours."""
    with psycopg.connect(site.url.replace("+psycopg", "", 1)) as holder:
        holder.execute(f"SET idle_in_transaction_session_timeout = '{FROZEN_S}s'")
        holder.commit()
        holder.execute("SELECT 1 FROM orders WHERE id = %s FOR UPDATE", [order_id])
        yield holder


@pytest.mark.proves("F14")
@pytest.mark.faults
def test_who_holds_a_lock_and_freezes_delays_others_for_a_moment_and_is_ended(site: Site) -> None:
    order = site.desk.payin(claimed=True)
    with locked_by_somebody(site, order.id) as holder:
        frozen_at = time.monotonic()
        answer = site.desk.browser.post(path_of(order, "confirmation"))
        waited = time.monotonic() - frozen_at
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) >= 1
        # As often as it is tried within three seconds, and never longer.
        assert LOCK_S <= waited < 3.0 + LOCK_S + 1.0, waited
        assert site.desk.now(order).status == Status.AWAITING_CONFIRMATION
        while site.desk.browser.post(path_of(order, "confirmation")).status_code == 503:
            assert time.monotonic() - frozen_at < 10, "the lock was not freed"
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            holder.execute("SELECT 1")
        holder.close()
    assert site.desk.now(order).status == Status.COMPLETED


@pytest.mark.proves("F14")
def test_a_lock_is_waited_for_no_longer_than_its_time(site: Site) -> None:
    order = site.desk.payin()
    with locked_by_somebody(site, order.id), site.app.app_context():
        started = time.monotonic()
        with pytest.raises(psycopg.errors.LockNotAvailable), transaction():
            get_order(order.id, lock=True)
        assert LOCK_S <= time.monotonic() - started < LOCK_S + 1.0
        with transaction():
            assert hot("SHOW idle_in_transaction_session_timeout") == [
                {"idle_in_transaction_session_timeout": "2s"}
            ]


@pytest.mark.proves("F15")
def test_two_who_wait_for_each_other_both_succeed(site: Site) -> None:
    first, second = site.desk.payin(1000_00), site.desk.payin(1100_00)
    gate, tries = threading.Barrier(2), Counter[int]()

    def work(number: int, order: list[uuid.UUID]) -> int:
        def once() -> int:
            tries[number] += 1
            # Long enough for PostgreSQL to see the deadlock before the wait for the lock is over.
            hot("SET LOCAL lock_timeout = '4s'")
            get_order(order[0], lock=True)
            if tries[number] == 1:
                gate.wait(10)
            get_order(order[1], lock=True)
            return number

        with site.app.app_context():
            return run_in_transaction(once)

    with ThreadPoolExecutor(2) as pool:
        there = pool.submit(work, 1, [first.id, second.id])
        back = pool.submit(work, 2, [second.id, first.id])
        assert (there.result(20), back.result(20)) == (1, 2)
    assert sorted(tries.values()) == [1, 2]


@contextmanager
def losing(site: Site, table: str, percent: int) -> Iterator[None]:
    """So many of all inserts into this table lose their race, as PostgreSQL says it."""
    site.sql(
        f"""CREATE FUNCTION lose_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          IF random() < {percent / 100} THEN RAISE EXCEPTION 'a race was lost' USING errcode = '40001'; END IF;
          RETURN NEW; END $$;"""
    )
    site.sql(f"CREATE TRIGGER lose BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION lose_{table}()")
    try:
        yield
    finally:
        site.sql(f"DROP FUNCTION lose_{table}() CASCADE")


@pytest.mark.proves("F16")
def test_races_that_are_lost_are_repeated_and_nobody_hears_of_it(site: Site) -> None:
    """30 % of all attempts: five in a row are one in 400, and are a 503 that the same key repeats."""
    with losing(site, "orders", 30):
        answers = [_until_made(site, amount) for amount in range(1000, 1000 + ORDERS)]
    tries = Counter(answers)
    assert sum(tries.values()) == ORDERS
    assert site.sql("SELECT count(*) FROM orders WHERE store_id = %s", site.shop.store_id) == [(ORDERS,)]
    assert tries[1] >= ORDERS - 3, tries


def _until_made(site: Site, amount: int) -> int:
    key = uuid.uuid4().hex
    for number in range(1, 5):
        answer = site.shop.create(idem=key, amount=f"{amount}.00")
        if answer.status_code == 201:
            return number
        assert (answer.status_code, code_of(answer)) == (503, "unavailable")
    raise AssertionError("twenty tries in a row")


@pytest.mark.proves("F16")
def test_a_race_that_is_always_lost_is_refused_after_five_tries_without_effect(site: Site) -> None:
    before = site.desk.balances()
    with losing(site, "orders", 100):
        started = time.monotonic()
        answer = site.shop.create()
        assert time.monotonic() - started < 3
    assert (answer.status_code, code_of(answer)) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert (site.orders(), site.desk.balances()) == ([], before)


@pytest.mark.proves("F16")
def test_a_confirmation_is_repeated_as_well(site: Site) -> None:
    orders = [site.desk.payin(amount, claimed=True) for amount in range(1000_00, 1010_00, 1_00)]
    with losing(site, "ledger_entry", 30):
        for order in orders:
            answer = site.desk.browser.post(path_of(order, "confirmation"))
            assert answer.status_code in {200, 503}
            if answer.status_code == 503:
                assert site.desk.browser.post(path_of(order, "confirmation")).status_code in {200, 503}
    done = [site.desk.now(order).status for order in orders].count(Status.COMPLETED)
    assert done >= len(orders) - 1


def _taken(site: Site, stack: ExitStack) -> None:
    """All connections of the pool are somebody else's."""
    stack.enter_context(site.app.app_context())
    for _ in range(BOUNDS["db_pool_size"]):
        stack.enter_context(db.engine.connect())


REQUESTS: dict[str, Callable[[Site], object]] = {
    "create": lambda site: site.shop.create(),
    "read": lambda site: site.shop.get("/api/v1/orders"),
    "page": lambda site: site.desk.browser.get("/trader/queue"),
}


@pytest.mark.proves("F17")
@pytest.mark.parametrize("what", REQUESTS)
def test_without_a_free_connection_it_is_503_at_once_and_health_stays_green(site: Site, what: str) -> None:
    site.shop.get("/api/v1/orders")
    with ExitStack() as stack:
        _taken(site, stack)
        started = time.monotonic()
        answer = REQUESTS[what](site)
        assert time.monotonic() - started <= BOUNDS["db_pool_timeout_s"] + 0.5
        assert answer.status_code == 503, answer.text  # type: ignore[attr-defined]
        assert int(answer.headers["Retry-After"]) >= 1  # type: ignore[attr-defined]
        assert site.app.test_client().get("/healthz").status_code == 200
        readiness.forget_answer()
        assert site.app.test_client().get("/readyz").status_code == 503
    readiness.forget_answer()
    assert REQUESTS[what](site).status_code in {200, 201}  # type: ignore[attr-defined]
