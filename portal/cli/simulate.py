"""`flask simulate`: shops, customers and traders at work, through the API and the pages."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event
from typing import Any, cast

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from portal.cli.ledger import report
from portal.cli.terminal import echo
from portal.core.processes.stopping import stop_on_signals
from portal.demo.place import SIMULATION, read_private
from portal.orders.integrity.proof import verify_everything
from portal.settings import get_settings
from portal.simulator.run import Simulation


@click.command("simulate")
@click.option("--orders-per-minute", type=click.FloatRange(0.1, 6000), default=30.0, show_default=True)
@click.option(
    "--minutes", type=click.FloatRange(0, 1440), default=1.0, show_default=True, help="0: until stopped."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same orders.")
@click.option("--base-url", help="Where Nostro answers; PUBLIC_URL without it.")
@click.option(
    "--credentials",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Key and logins of the simulated people; those of the demo without it.",
)
@click.option("--quiet", is_flag=True, help="No progress and no table.")
@with_appcontext
def simulate(
    orders_per_minute: float,
    minutes: float,
    seed: int,
    base_url: str | None,
    credentials: Path | None,
    quiet: bool,
) -> None:
    """Play customers, traders and payouts; ends with a table and the proof of the ledger (exit code 1 if broken)."""
    simulation = Simulation(
        cast("Flask", current_app._get_current_object()),  # type: ignore[attr-defined]  # noqa: SLF001
        (base_url or get_settings().public_url).rstrip("/"),
        _known_people(credentials or SIMULATION),
        seed=seed,
        run=f"sim-{seed}-{int(time.time())}",
    )
    stop = stop_on_signals()
    if quiet:
        simulation.play(orders_per_minute, minutes, stop, lambda: None)
        return
    _play_visibly(simulation, orders_per_minute, minutes, stop)
    echo(simulation.tally.table(simulation.shop.statuses(simulation.order_ids)))
    findings = verify_everything()
    echo("")
    report(findings)
    raise SystemExit(1 if findings else 0)


def _known_people(path: Path) -> dict[str, Any]:
    """The simulator's key and logins. They exist where the demo's world does, never in production."""
    if get_settings().environment == "production":
        raise click.ClickException("The simulator is not for production.")
    people = read_private(path)
    if people is None:
        raise click.ClickException(f"{path} is not there: start the demo first (make demo).")
    return dict(people)


def _play_visibly(simulation: Simulation, per_minute: float, minutes: float, stop: Event) -> None:
    length = round(per_minute * minutes) or None
    with click.progressbar(length=length or 1, label="orders", show_pos=True) as bar:
        simulation.play(per_minute, minutes, stop, lambda: bar.update(1) if length else None)


commands = [simulate]
