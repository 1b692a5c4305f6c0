"""The stage of a run: databases made for it, the servers under test, and the data they work on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from portal.settings import child_environment

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Server:
    """A server under test: where it listens, and the process group of all its processes."""

    port: int
    group: int


@contextmanager
def served(
    module: str, env: dict[str, str], *, server: str = "granian", workers: int = 2, threads: int = 2
) -> Iterator[Server]:
    """Serve a WSGI application until the block ends."""
    port = free_port()
    binaries = Path(sys.executable).parent
    if server == "granian":
        command = [
            str(binaries / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
            "--workers", str(workers), "--blocking-threads", str(threads), "--no-ws", "--log-level", "warning",
            "--workers-kill-timeout", "3", module,
        ]  # fmt: skip
    else:
        command = [
            str(binaries / "gunicorn"), "-b", f"127.0.0.1:{port}", "-k", "gthread", "-w", str(workers),
            "--threads", str(threads), "--keep-alive", "75", "--graceful-timeout", "3", "--log-level", "warning", module,
        ]  # fmt: skip
    process = subprocess.Popen(
        command,
        env=child_environment() | env,
        cwd=ROOT,
        stdout=sys.stderr,
        stderr=sys.stderr,
        start_new_session=True,
    )
    try:
        wait_until_up(f"http://127.0.0.1:{port}/healthz", process)
        yield Server(port, process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_up(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Raises RuntimeError when the server ends or does not answer in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer")


def settle_down(dsn: str) -> None:
    """What autovacuum does within a minute, after thousands of rows came at once: plans made for the empty tables
    are made anew."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


@contextmanager
def bounded(minutes: int) -> Iterator[None]:
    """Raises TimeoutError inside the block after so many minutes, and KeyboardInterrupt at SIGTERM: both clean up."""

    def give_up(_number: int, _frame: object) -> None:
        raise TimeoutError(f"the bench took longer than {minutes} minutes")

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, stop)
    signal.alarm(minutes * 60)
    try:
        yield
    finally:
        signal.alarm(0)
