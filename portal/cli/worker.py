"""`flask worker`: executes the jobs of the queues."""

from __future__ import annotations

from typing import cast

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from portal.core.queues import WITH_JOBS, QueueName


@click.command("worker")
@click.option(
    "--queue",
    "queues",
    multiple=True,
    type=click.Choice([queue.value for queue in WITH_JOBS]),
    help="Only the jobs of this queue; may be given several times.",
)
@with_appcontext
def worker(queues: tuple[str, ...]) -> None:
    """Execute jobs from the queues until stopped. Any number of these may run at once."""
    from portal.telemetry import take_role
    from portal.workers.queue import run_worker

    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
    take_role(app, "worker")
    run_worker(app, [QueueName(queue) for queue in queues] or WITH_JOBS)


commands = [worker]
