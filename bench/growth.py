"""Creating payins after many orders against after few: two databases, driven in turn."""

from __future__ import annotations

import time

from bench import creating
from bench.client import run_load
from bench.confirming import confirm_a_few
from bench.history import multiply_orders
from bench.run import CLIENTS, Run
from bench.stage import served
from bench.yardstick import Side, in_turn

FEW = 10_000


def measure(run: Run) -> None:
    few_dsn = run.databases.create("little", like="base")
    confirm_a_few(few_dsn, run.world)
    grown_dsn = run.databases.create("grown", like="little")
    multiply_orders(few_dsn, FEW)
    start = time.monotonic()
    multiply_orders(grown_dsn, run.grown_orders)
    print(f"  {run.grown_orders:,} whole orders were written in {time.monotonic() - start:.0f} s", flush=True)
    make = creating.ours(run.world)
    with (
        served("wsgi:app", {"DATABASE_URL": grown_dsn}) as grown,
        served("wsgi:app", {"DATABASE_URL": few_dsn}) as few,
    ):
        results = in_turn(
            {
                "grown": Side(grown, lambda s: run_load(grown.port, [make] * CLIENTS, s, expected=201)),
                "few": Side(few, lambda s: run_load(few.port, [make] * CLIENTS, s, expected=201)),
            },
            run.rounds,
            run.seconds,
            run.postmaster,
        )
    name = f"create after {run.grown_orders:,} orders"
    rows = run.table.http_rows(name, results)
    many, little = rows["grown"], rows["few"]
    run.table.at_least(f"{name}: throughput to after {FEW:,}", many.per_second, little.per_second, 0.95, "/s")
    run.table.report_cpu(f"{name} to after {FEW:,}", many, little)
