"""`flask worker`: executes the queue's hints."""

from __future__ import annotations

import click
from flask.cli import with_appcontext


@click.command("worker")
@with_appcontext
def worker() -> None:
    """Execute hints from the queue until stopped. Any number of these may run at once."""
    from portal.workers.queue import run_worker

    run_worker()


commands = [worker]
