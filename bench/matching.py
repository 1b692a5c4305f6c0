"""Picking and reserving one requisite, inside this process: ours against itself with more around it."""

from __future__ import annotations

import random
import time
import uuid

import psycopg
from flask import Flask

from bench.apps import app_for
from bench.history import add_order_rows
from bench.homes import compare_homes
from bench.run import Run
from bench.timing import Take, alternating
from bench.world import RICH, more_requisites

NOBODY_TAKES = RICH


def matcher(app: Flask, store_id: uuid.UUID, *, amount: int | None = None) -> Take:
    """Seconds of one match, which is rolled back; an amount that nobody takes is given as `amount`."""
    from portal.core.db import db
    from portal.matching.service import Wanted, match
    from portal.merchants.queries import get_store

    def take() -> float:
        with app.app_context():
            traffic = get_store(store_id).traffic
            minor = amount or random.randrange(100_00, 600_000_00)
            wanted = Wanted(uuid.uuid4(), 0, "live", "card", None, "RUB", minor, 10**6, traffic)
            db.session.connection()
            start = time.perf_counter()
            found = match(wanted).taken
            seconds = time.perf_counter() - start
            db.session.rollback()
            assert (found is None) == (amount is not None)
        return seconds

    return take


def measure_requisites(run: Run) -> None:
    """1,000 requisites against 100,000, and a hit against nobody."""
    many_dsn = run.databases.create("many", like="base")
    store = run.world.store_ids[0]
    with app_for(run.databases.create("few", like="base")) as few, app_for(many_dsn) as many:
        with many.app_context():
            more_requisites(99_000)
        with psycopg.connect(many_dsn, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE requisite")
        sides = {
            "few": matcher(few, store),
            "many": matcher(many, store),
            "nobody of few": matcher(few, store, amount=NOBODY_TAKES),
            "nobody of many": matcher(many, store, amount=NOBODY_TAKES),
        }
        ms = alternating(sides, run.repeats)
    table = run.table
    table.at_most("match among 100,000 requisites to 1,000", ms["many"], ms["few"], 1.3, "ms")
    table.at_most("nobody fits among 1,000 to a hit", ms["nobody of few"], ms["few"], 1.5, "ms")
    table.at_most("nobody fits among 100,000 to a hit", ms["nobody of many"], ms["many"], 1.5, "ms")


def measure_history(run: Run) -> None:
    """Matching and a store's list with no, a little and much history."""
    few_dsn = run.databases.create("listed", like="base")
    huge_dsn = run.databases.create("huge", like="base")
    add_order_rows(few_dsn, 10_000)
    add_order_rows(huge_dsn, run.past_orders)
    past, repeats = f"{run.past_orders:,}", run.repeats
    store = run.world.store_ids[0]
    none_dsn = run.databases.create("none", like="base")
    with app_for(none_dsn) as none, app_for(few_dsn) as few, app_for(huge_dsn) as huge:
        ms = alternating({"none": matcher(none, store), "huge": matcher(huge, store)}, repeats)
        run.table.at_most(f"match with {past} past orders to none", ms["huge"], ms["none"], 1.1, "ms")
        listed = _store_with_orders(few_dsn)
        pages = {
            "small": _page(few, listed, 1),
            "first": _page(huge, listed, 1),
            "hundredth": _page(huge, listed, 100),
        }
        ms = alternating(pages, repeats)
        compare_homes(run, few, huge)
    run.table.at_most(
        f"a store's list of {past}: hundredth page to the first", ms["hundredth"], ms["first"], 1.2, "ms"
    )
    run.table.at_most(f"a store's list: first page of {past} to 10,000", ms["first"], ms["small"], 1.5, "ms")


def _store_with_orders(dsn: str) -> uuid.UUID:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT store_id FROM orders WHERE external_id LIKE 'past-%' LIMIT 1"
        ).fetchone()
    assert row is not None
    return uuid.UUID(str(row[0]))


def _page(app: Flask, store_id: uuid.UUID, page: int) -> Take:
    """Seconds of reading the `page`-th page of 50 of a store's orders."""
    from portal.core.db import db
    from portal.core.modes import Mode
    from portal.orders.order_list import OrderFilter, Whose, list_whole_orders

    whose, after = Whose(stores=(store_id,)), None
    with app.app_context():
        for _ in range(page - 1):
            after = list_whole_orders(whose, Mode.LIVE, OrderFilter(), 50, after=after)[-1].id

    def take() -> float:
        with app.app_context():
            db.session.connection()
            start = time.perf_counter()
            assert len(list_whole_orders(whose, Mode.LIVE, OrderFilter(), 50, after=after)) == 50
            return time.perf_counter() - start

    return take
