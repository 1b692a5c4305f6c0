"""`flask run-all`: everything that serves, for one small machine."""

from __future__ import annotations

import atexit
import logging
import shutil
import signal
import socket
import tempfile
from pathlib import Path

import click

from portal.settings import child_environment, get_settings, inherited_socket
from portal.workers.supervisor import (
    GaveUp,
    Program,
    Stopped,
    Supervisor,
    background,
    exporter,
    gunicorn,
    raise_on_signals,
    streams,
)

log = logging.getLogger(__name__)


def _host_and_port(_context: click.Context, _option: click.Parameter, value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.BadParameter("say host:port, such as 127.0.0.1:8000")
    return value


@click.command("run-all")
@click.option(
    "--bind",
    default="127.0.0.1:8000",
    show_default=True,
    callback=_host_and_port,
    help="Where the web process listens.",
)
@click.option("--workers", type=click.IntRange(1, 32), default=2, show_default=True)
@click.option("--threads", type=click.IntRange(2, 512), default=16, show_default=True)
@click.option(
    "--streams-port",
    type=click.IntRange(1, 65535),
    default=8001,
    show_default=True,
    help="/streams/..., on the same address as the web.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(1, 65535),
    default=9464,
    show_default=True,
    help="/metrics, on this machine.",
)
def run_all(bind: str, workers: int, threads: int, streams_port: int, metrics_port: int) -> None:
    """Run web, streams, worker, relay, clock and metrics together until stopped; what dies is started again.

    At SIGHUP new processes take the place of all, one after another, while requests are answered.
    """
    environment = child_environment(**metrics_folder(), **streams_address(streams_port))
    door = open_door(bind)
    command = gunicorn(f"fd://{door.fileno()}", workers=workers, threads=threads)
    web = Program("web", command, environment, sockets=(door.fileno(),))
    pages = Program("streams", streams(bind, streams_port), environment)
    supervisor = Supervisor(log.warning)
    try:
        raise_on_signals()
        supervisor.renew_on(signal.SIGHUP)
        supervisor.start(web, pages, *background(environment), exporter(environment, metrics_port))
        supervisor.watch()
    except Stopped:
        pass
    except GaveUp as error:
        raise click.ClickException(str(error)) from None
    finally:
        supervisor.stop()


def open_door(bind: str) -> socket.socket:
    """Where the web's processes accept: opened at once and kept, so that requests wait while processes change."""
    host, _, port = bind.rpartition(":")
    given = inherited_socket()
    if given is not None:
        return given
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=1024)
    except OSError as error:
        raise click.ClickException(f"{bind} can't be listened at: {error.strerror}") from None


def streams_address(port: int) -> dict[str, str]:
    """STREAMS_PORT for the pages, where no proxy leads to the streams: that is where nothing makes https of http."""
    return {} if get_settings().is_https else {"STREAMS_PORT": str(port)}


def metrics_folder() -> dict[str, str]:
    """METRICS_DIR for the processes, in memory; that of the settings where there is one."""
    known = get_settings().metrics_dir
    if known is not None:
        return {}
    folder = tempfile.mkdtemp(prefix="nostro-metrics-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)  # noqa: S108
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"METRICS_DIR": folder}


commands = [run_all]
