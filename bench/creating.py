"""Creating a payin over HTTP, whole: key, idempotency, risk hook, order, match, hold, event."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
from collections.abc import Callable

import psycopg

from bench.client import Request, http_request, run_load
from bench.run import CLIENTS, Run, floor_dsn
from bench.stage import ROOT, served, settle_down
from bench.world import World
from bench.yardstick import Side, in_turn

_run = os.urandom(4).hex()
_count = itertools.count()


def _amount() -> str:
    return f"{random.randrange(100, 599_999)}.{random.randrange(100):02d}"


def ours(world: World) -> Callable[[], Request]:
    """Requests as a store's server sends them: another key's turn, another order each, and nobody with a hundred of them."""

    def make() -> Request:
        n = next(_count)
        body = {
            "direction": "payin", "amount": _amount(), "currency": "RUB", "method": "card",
            "external_id": f"{_run}-{n}", "customer": {"id": f"c-{n % 100_000}"}, "metadata": {"cart": "9f"},
        }  # fmt: skip
        headers = {
            "Authorization": f"Bearer {world.keys[n % len(world.keys)]}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"{_run}-{n}",
        }
        return http_request("POST", "/api/v1/orders", headers, json.dumps(body).encode(), host="localhost")

    return make


def bare(world: World) -> Callable[[], Request]:
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


def measure(run: Run) -> None:
    env = {"DATABASE_URL": run.dsn, "BENCH_FLOOR_DSN": floor_dsn(run.dsn)}
    make_ours, make_bare = ours(run.world), bare(run.world)
    with served("wsgi:app", env) as mine, served("bench.bare_app:app", env) as other:
        results = in_turn(
            {
                "ours": Side(mine, lambda s: run_load(mine.port, [make_ours] * CLIENTS, s, expected=201)),
                "bare": Side(other, lambda s: run_load(other.port, [make_bare] * CLIENTS, s, expected=201)),
            },
            run.rounds,
            run.seconds,
            run.postmaster,
            settle=lambda: settle_down(run.dsn),
        )
    rows = run.table.http_rows("create a payin", results)
    fast, plain = rows["ours"], rows["bare"]
    run.table.at_least(
        "create a payin: throughput to the bare route", fast.per_second, plain.per_second, 0.55, "/s"
    )
    run.table.at_most("create a payin: p95 to the bare route's", fast.p95_ms, plain.p95_ms, 2.5, "ms")
    run.table.report_cpu("create a payin to the bare route", fast, plain)
    floor = pgbench(run.dsn, run.seconds)
    run.table.report(
        "create a payin: throughput to the floor", fast.per_second, floor, "/s", "0.2 is good, 0.3 is the aim"
    )
    _check_mix(run.dsn)


def _check_mix(dsn: str) -> None:
    """An order that found nobody would be a cheaper one: raises RuntimeError when they are more than 1 %."""
    with psycopg.connect(dsn) as connection:
        became: dict[str, int] = dict(
            connection.execute("SELECT status, count(*) FROM orders GROUP BY status").fetchall()
        )
    total = sum(became.values())
    if became.get("awaiting_payment", 0) < total * 0.99:
        raise RuntimeError(f"not all orders were matched: {became}")


_SCRIPT = """
\\set amount random(10000, 59999999)
\\set start random(0, 2147483646)
SELECT create_payin(gen_random_uuid(), '00000000-0000-0000-0000-000000000001', gen_random_uuid()::text,
  gen_random_uuid()::text, 'x', :amount::bigint, :amount::bigint * 100, :amount::bigint * 3, 95000000, :start::int, gen_random_uuid()::text::bytea,
  gen_random_uuid(), '{"status": "awaiting_payment"}', 'body');
"""


def pgbench(dsn: str, seconds: float) -> float:
    """Transactions a second of the floor's function alone."""
    from portal.embedded.postgres import installed_programs

    script = ROOT / "bench/var/floor.pgbench"
    script.write_text(_SCRIPT)
    done = subprocess.run(
        [str(installed_programs() / "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T",
         str(max(int(seconds), 1)), "-f", str(script), floor_dsn(dsn)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if line.startswith("tps"))
    return float(line.split()[2])
