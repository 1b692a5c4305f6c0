"""What is measured, each against the yardstick that its number is promised against."""

from __future__ import annotations

import itertools
import json
import os
import random
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable

import psycopg
from flask import Flask

from bench.client import Load, Request, http_request, run_load
from bench.stage import ROOT, served
from bench.world import RICH, World, build, build_floor, migrate, more_orders, more_requisites
from bench.yardstick import Table, in_turn, median_p95, median_rate

CLIENTS = 16
_run = os.urandom(4).hex()
_count = itertools.count()


def run(table: Table, server_url: str, *, quick: bool, only: set[str], past: int) -> None:
    """Make a fresh database and run the chosen workloads on it."""
    admin = server_url.replace("postgresql+psycopg://", "postgresql://")
    name = f"bench_{_run}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    dsn = admin.replace("/postgres?", f"/{name}?")
    os.environ["DATABASE_URL"] = dsn
    try:
        _run_on(table, dsn, quick=quick, only=only, past=past)
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _run_on(table: Table, dsn: str, *, quick: bool, only: set[str], past: int) -> None:
    migrate(dict(os.environ))
    from portal import create_app
    from portal.core.db import db

    app = create_app()
    world = build(app)
    build_floor(dsn)
    seconds, rounds = (1.0, 1) if quick else (6.0, 5)
    if not only or "http" in only:
        _create(table, dsn, world, seconds, rounds)
    if not only or "matching" in only:
        _matching(table, app, world, 200 if quick else 2000)
    if not only or "history" in only:
        _history(table, app, dsn, world, 20_000 if quick else past, seconds, rounds)
    with app.app_context():
        db.engine.dispose()


def _amount() -> str:
    return f"{random.randrange(100, 599_999)}.{random.randrange(100):02d}"


def _ours(world: World) -> Callable[[], Request]:
    def make() -> Request:
        n = next(_count)
        body = {
            "direction": "payin", "amount": _amount(), "currency": "RUB", "method": "card",
            "external_id": f"{_run}-{n}", "customer": {"id": f"c-{n % 1000}"}, "metadata": {"cart": "9f"},
        }  # fmt: skip
        headers = {
            "Authorization": f"Bearer {world.keys[n % len(world.keys)]}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"{_run}-{n}",
        }
        return http_request("POST", "/api/v1/orders", headers, json.dumps(body).encode(), host="localhost")

    return make


def _bare(world: World) -> Callable[[], Request]:
    def make() -> Request:
        n = next(_count)
        body = {
            "amount": _amount(),
            "currency": "RUB",
            "external_id": f"{_run}-{n}",
            "store": str(world.store_ids[n % 16]),
        }
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{_run}-{n}"}
        return http_request("POST", "/orders", headers, json.dumps(body).encode())

    return make


def _floor_dsn(dsn: str) -> str:
    return f"{dsn}&options=-c%20search_path%3Dfloor%2Cpublic"


def _create(table: Table, dsn: str, world: World, seconds: float, rounds: int) -> None:
    """Creating a payin over HTTP, whole: key, idempotency, risk hook, order, match, hold, event."""
    env = {"BENCH_FLOOR_DSN": _floor_dsn(dsn)}
    with served("wsgi:app", env) as ours_port, served("bench.bare_app:app", env) as bare_port:
        ours, bare = _ours(world), _bare(world)
        loads = in_turn(
            {
                "ours": lambda: run_load(ours_port, [ours] * CLIENTS, seconds, expected=201),
                "bare": lambda: run_load(bare_port, [bare] * CLIENTS, seconds, expected=201),
            },
            rounds,
        )
    created, bared = median_rate(loads["ours"]), median_rate(loads["bare"])
    table.at_least("create a payin: throughput to the bare route", created, bared, 0.55, "/s")
    table.at_most(
        "create a payin: p95 to the bare route",
        median_p95(loads["ours"]),
        median_p95(loads["bare"]),
        2.5,
        "ms",
    )
    table.at_least(
        "create a payin: throughput to the floor", created, _pgbench(dsn, seconds), 0.2, "/s", "reported"
    )
    _show_mix(loads["ours"], dsn)


def _show_mix(loads: list[Load], dsn: str) -> None:
    """A load that was not matched would be a cheaper one: say what the orders became."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT status, count(*) FROM orders GROUP BY status").fetchall()
    print(
        f"  orders became {dict(rows)} over {sum(len(load.latencies) for load in loads)} answers", flush=True
    )


_SCRIPT = """
\\set amount random(10000, 59999999)
\\set start random(0, 2147483646)
SELECT create_payin(gen_random_uuid(), '00000000-0000-0000-0000-000000000001', gen_random_uuid()::text,
  gen_random_uuid()::text, 'x', :amount::bigint, :amount::bigint * 100, :amount::bigint * 3, 95000000, :start::int, gen_random_uuid()::text::bytea,
  gen_random_uuid(), '{"status": "awaiting_payment"}', 'body');
"""


def _pgbench(dsn: str, seconds: float) -> float:
    """Transactions a second of the floor's function alone."""
    from portal.embedded.postgres import installed_programs

    script = ROOT / "bench/var/floor.pgbench"
    script.write_text(_SCRIPT)
    done = subprocess.run(
        [str(installed_programs() / "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T",
         str(max(int(seconds), 1)), "-f", str(script), _floor_dsn(dsn)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if line.startswith("tps"))
    return float(line.split()[2])


def _match_ms(app: Flask, world: World, rounds: int, *, amount: int | None = None) -> float:
    """Median milliseconds of picking and reserving one requisite; each is rolled back."""
    from portal.core.db import db
    from portal.matching.service import Wanted, match
    from portal.merchants.queries import get_store

    with app.app_context():
        traffic = get_store(world.store_ids[0]).traffic
        taken = []
        for _ in range(rounds + 50):
            minor = amount or random.randrange(100_00, 600_000_00)
            wanted = Wanted(uuid.uuid4(), 0, "live", "card", None, "RUB", minor, 10**6, traffic)
            start = time.perf_counter()
            found = match(wanted).taken
            taken.append(time.perf_counter() - start)
            db.session.rollback()
            assert (found is None) == (amount is not None)
    return statistics.median(taken[50:]) * 1000


NOBODY_TAKES = RICH


def _matching(table: Table, app: Flask, world: World, rounds: int) -> None:
    few = _match_ms(app, world, rounds)
    none_of_few = _match_ms(app, world, rounds, amount=NOBODY_TAKES)
    with app.app_context():
        more_requisites(99_000)
    many = _match_ms(app, world, rounds)
    none_of_many = _match_ms(app, world, rounds, amount=NOBODY_TAKES)
    table.at_most("match among 100,000 requisites to 1,000", many, few, 1.3, "ms")
    table.at_most("nobody fits among 1,000 to a hit", none_of_few, few, 1.5, "ms")
    table.at_most("nobody fits among 100,000 to a hit", none_of_many, many, 1.5, "ms")


def _page_ms(app: Flask, store_id: uuid.UUID, page: int, rounds: int) -> float:
    """Median milliseconds of the `page`-th page of 50 of a store's orders."""
    from portal.core.modes import Mode
    from portal.orders.queries import OrderFilter, list_orders_for_store

    with app.app_context():
        before = None
        for _ in range(page - 1):
            before = list_orders_for_store(store_id, Mode.LIVE, OrderFilter(before=before), 50)[-1].id
        taken = []
        for _ in range(rounds):
            start = time.perf_counter()
            assert len(list_orders_for_store(store_id, Mode.LIVE, OrderFilter(before=before), 50)) == 50
            taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def _history(
    table: Table, app: Flask, dsn: str, world: World, past: int, seconds: float, rounds: int
) -> None:
    """The same work with little and with much behind it."""
    store, trader = world.store_ids[0], world.traders[0][0]
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT id FROM requisite WHERE trader_id = %s LIMIT 1", (trader,)
        ).fetchone()
    assert row is not None
    repeats = 300
    before = _match_ms(app, world, repeats * 3)
    more_orders(dsn, 10_000, store, trader, row[0])
    small = _page_ms(app, store, 1, repeats)
    ours = _ours(world)
    with served("wsgi:app", {}) as port:
        few = in_turn({"create": lambda: run_load(port, [ours] * CLIENTS, seconds, expected=201)}, rounds)[
            "create"
        ]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM orders WHERE external_id LIKE 'past-%'")
    more_orders(dsn, past, store, trader, row[0])
    with served("wsgi:app", {}) as port:
        many = in_turn({"create": lambda: run_load(port, [ours] * CLIENTS, seconds, expected=201)}, rounds)[
            "create"
        ]
    table.at_least(
        f"create with {past:,} past orders to 10,000", median_rate(many), median_rate(few), 0.95, "/s"
    )
    table.at_most(
        f"match with {past:,} past orders to none", _match_ms(app, world, repeats * 3), before, 1.1, "ms"
    )
    first, hundredth = _page_ms(app, store, 1, repeats), _page_ms(app, store, 100, repeats)
    table.at_most("a store's list: hundredth page to the first", hundredth, first, 1.2, "ms")
    table.at_most(f"a store's list: first page of {past:,} to 10,000", first, small, 1.5, "ms")
