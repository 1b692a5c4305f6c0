"""Two application servers under the same application: what ADR 0008 decides on."""

from __future__ import annotations

from collections.abc import Callable

from bench import creating, payment_page
from bench.client import Load, Request, run_load
from bench.run import CLIENTS, Run
from bench.stage import served
from bench.yardstick import Side, in_turn


def _load(port: int, make: Callable[[], Request], status: int) -> Callable[[float], Load]:
    return lambda seconds: run_load(port, [make] * CLIENTS, seconds, expected=status)


def measure(run: Run) -> None:
    env = {"DATABASE_URL": run.dsn}
    with (
        served("wsgi:app", env, server="granian") as granian,
        served("wsgi:app", env, server="gunicorn") as gunicorn,
    ):
        make = creating.ours(run.world)
        page = payment_page.pages(payment_page.new_tokens(granian.port, run, 64))
        for what, request, status in (("create a payin", make, 201), ("payment page", page, 200)):
            sides = {
                name: Side(server, _load(server.port, request, status))
                for name, server in (("granian", granian), ("gunicorn", gunicorn))
            }
            results = in_turn(sides, run.rounds, run.seconds, run.postmaster)
            rows = run.table.http_rows(f"{what}, by server", results)
            run.table.report(
                f"{what}: granian to gunicorn",
                rows["granian"].per_second,
                rows["gunicorn"].per_second,
                "/s",
                "both 2 workers of 2 threads",
            )
