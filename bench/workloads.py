"""The order of a run: one world, and every workload on databases of its own or on what the one before left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from bench import (
    background,
    confirming,
    creating,
    growth,
    matching,
    payment_page,
    recovery,
    servers,
    signing_in,
    streaming,
)
from bench.apps import app_for
from bench.databases import Databases, log_of, postmaster_of
from bench.run import Run
from bench.world import build, build_floor, migrate
from bench.yardstick import Table

NAMES = (
    "create",
    "confirm",
    "page",
    "matching",
    "growth",
    "history",
    "sign_in",
    "servers",
    "streams",
    "outbox",
    "webhooks",
    "jobs",
    "recovery",
    "memory",
)


def run_all(table: Table, server_url: str, *, quick: bool, only: set[str], past: int, grown: int) -> None:
    """Make fresh databases, run the chosen workloads, and drop the databases again."""
    databases = Databases(server_url.replace("postgresql+psycopg://", "postgresql://"))
    try:
        run = _prepare(table, databases, quick=quick, past=past, grown=grown)
        steps: dict[str, Callable[[], None]] = {
            "create": lambda: creating.measure(run),
            "confirm": lambda: confirming.measure(run),
            "page": lambda: payment_page.measure(run, log_of(databases.admin)),
            "matching": lambda: matching.measure_requisites(run),
            "growth": lambda: growth.measure(run),
            "history": lambda: matching.measure_history(run),
            "sign_in": lambda: signing_in.measure(run),
            "servers": lambda: servers.measure(run),
            "streams": lambda: streaming.measure(run),
            "outbox": lambda: background.measure_outbox(run),
            "webhooks": lambda: background.measure_webhooks(run),
            "jobs": lambda: background.measure_jobs(run),
            "recovery": lambda: recovery.measure(run),
            "memory": lambda: recovery.measure_memory(run),
        }
        for name in NAMES:
            if only and name not in only:
                continue
            start = time.monotonic()
            steps[name]()
            print(f"  ({name} took {time.monotonic() - start:.0f} s)", flush=True)
    finally:
        databases.drop_all()


def _prepare(table: Table, databases: Databases, *, quick: bool, past: int, grown: int) -> Run:
    """One database with the world in it, to be copied, and the copy that the HTTP workloads run on."""
    base = databases.create("base")
    os.environ["DATABASE_URL"] = base
    migrate(dict(os.environ))
    with app_for(base) as app:
        world = build(app)
    dsn = databases.create("http", like="base")
    build_floor(dsn)
    seconds, rounds, repeats = (1.5, 3, 500) if quick else (6.0, 5, 2000)
    postmaster = postmaster_of(databases.admin)
    return Run(table, databases, dsn, world, postmaster, seconds, rounds, repeats, past, grown)
