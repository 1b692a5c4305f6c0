"""`flask run-all`: everything that serves, for one small machine."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import click

from portal.cli.terminal import echo
from portal.settings import child_environment, get_settings
from portal.workers.supervisor import (
    GaveUp,
    Program,
    Stopped,
    Supervisor,
    background,
    exporter,
    gunicorn,
    raise_on_signals,
)


@click.command("run-all")
@click.option("--bind", default="127.0.0.1:8000", show_default=True, help="Where the web process listens.")
@click.option("--workers", type=click.IntRange(1, 32), default=2, show_default=True)
@click.option("--threads", type=click.IntRange(2, 512), default=64, show_default=True)
@click.option(
    "--metrics-port",
    type=click.IntRange(1, 65535),
    default=9464,
    show_default=True,
    help="/metrics, on this machine.",
)
def run_all(bind: str, workers: int, threads: int, metrics_port: int) -> None:
    """Run web, worker, relay, clock and metrics together until stopped; what dies is started again."""
    environment = child_environment(**metrics_folder())
    web = Program("web", gunicorn(bind, workers=workers, threads=threads, graceful_s=5), environment)
    supervisor = Supervisor(lambda words: echo(words, err=True))
    try:
        raise_on_signals()
        supervisor.start(web, *background(environment), exporter(environment, metrics_port))
        supervisor.watch()
    except Stopped:
        pass
    except GaveUp as error:
        raise click.ClickException(str(error)) from None
    finally:
        supervisor.stop()


def metrics_folder() -> dict[str, str]:
    """METRICS_DIR for the processes, in memory; that of the settings where there is one."""
    known = get_settings().metrics_dir
    if known is not None:
        return {}
    folder = tempfile.mkdtemp(prefix="nostro-metrics-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)  # noqa: S108
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"METRICS_DIR": folder}


commands = [run_all]
