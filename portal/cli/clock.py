"""`flask clock`: deadlines, retries and upkeep."""

from __future__ import annotations

from typing import cast

import click
from flask import Flask, current_app
from flask.cli import with_appcontext


@click.command("clock")
@with_appcontext
def clock() -> None:
    """Act on deadlines until stopped. Any number of these may run at once; one acts, the others stand by."""
    from portal.telemetry import take_role
    from portal.workers.clock import run_clock

    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
    take_role(app, "clock")
    run_clock(app)


commands = [clock]
