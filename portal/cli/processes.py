"""`flask run-all`: everything that serves, for one small machine."""

from __future__ import annotations

import click

from portal.settings import child_environment
from portal.workers.supervisor import (
    GaveUp,
    Program,
    Stopped,
    Supervisor,
    background,
    gunicorn,
    raise_on_signals,
)


@click.command("run-all")
@click.option("--bind", default="127.0.0.1:8000", show_default=True, help="Where the web process listens.")
@click.option("--workers", type=click.IntRange(1, 32), default=2, show_default=True)
@click.option("--threads", type=click.IntRange(2, 512), default=64, show_default=True)
def run_all(bind: str, workers: int, threads: int) -> None:
    """Run web, worker, relay and clock together until stopped; what dies is started again."""
    environment = child_environment()
    web = Program("web", gunicorn(bind, workers=workers, threads=threads, graceful_s=5), environment)
    supervisor = Supervisor(lambda words: click.echo(words, err=True))
    try:
        raise_on_signals()
        supervisor.start(web, *background(environment))
        supervisor.watch()
    except Stopped:
        pass
    except GaveUp as error:
        raise click.ClickException(str(error)) from None
    finally:
        supervisor.stop()


commands = [run_all]
