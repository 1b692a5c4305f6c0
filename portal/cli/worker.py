"""`flask worker`: executes the queue's hints."""

from __future__ import annotations

from typing import cast

import click
from flask import Flask, current_app
from flask.cli import with_appcontext


@click.command("worker")
@with_appcontext
def worker() -> None:
    """Execute hints from the queue until stopped. Any number of these may run at once."""
    from portal.telemetry import take_role
    from portal.workers.queue import run_worker

    take_role(cast("Flask", current_app._get_current_object()), "worker")  # type: ignore[attr-defined]  # noqa: SLF001
    run_worker()


commands = [worker]
