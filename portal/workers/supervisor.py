"""Running several processes as one: start, restart what dies, stop everything together."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.1
RESTARTS_PER_MINUTE = 6
GRACE_S = 8.0
_PR_SET_PDEATHSIG = 1
_ANY = frozenset({"", "0.0.0.0", "[::]"})  # noqa: S104 - compared with


class Stopped(BaseException):
    """Somebody asked the whole to stop (SIGTERM, SIGINT): unwinds from wherever the start-up is."""


class GaveUp(Exception):
    """A process died again and again; the message names it."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running. `log` is appended to; None shares the supervisor's output."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    log: Path | None = None
    cwd: Path = ROOT


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    deaths: list[float] = field(default_factory=list)
    start_at: float | None = None


def flask(*arguments: str) -> tuple[str, ...]:
    """The command line of `flask ...` in this very installation."""
    return (sys.executable, "-m", "flask", "--app", "wsgi:app", *arguments)


def gunicorn(bind: str, *, workers: int, threads: int) -> tuple[str, ...]:
    """The command line of the web process; the rest of its settings is portal.workers.web_server."""
    return (
        sys.executable, "-m", "gunicorn", "--config", "python:portal.workers.web_server", "--bind", bind,
        "--workers", str(workers), "--threads", str(threads), "wsgi:app",
    )  # fmt: skip


def streams(bind: str, port: int) -> tuple[str, ...]:
    """The command line of the streams' process at another port beside a web process that listens at `bind`."""
    host, _, web_port = bind.rpartition(":")
    web_host = "127.0.0.1" if host in _ANY else host
    return (
        sys.executable, "-m", "portal.workers.streams", "--host", host.strip("[]"),
        "--port", str(port), "--web", f"http://{web_host}:{web_port}",
    )  # fmt: skip


class Supervisor:
    """Owns its children: none outlives it, not even when it is killed (Linux)."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._children: list[_Child] = []
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def start(self, *programs: Program) -> None:
        for program in programs:
            self._children.append(_Child(program, self._spawn(program)))

    def check(self) -> None:
        """Restart what has died. Raises GaveUp when a process dies too often."""
        now = time.monotonic()
        for child in self._children:
            if child.start_at is None and child.process.poll() is not None:
                child.deaths = [death for death in child.deaths if death > now - 60] + [now]
                if len(child.deaths) > RESTARTS_PER_MINUTE:
                    raise GaveUp(f"{child.program.name} stops again and again{_where(child.program)}.")
                code = child.process.returncode
                self._say(f"{child.program.name} has stopped ({code}); it is started again.")
                child.start_at = now + 0.25 * 2 ** len(child.deaths)
            if child.start_at is not None and now >= child.start_at:
                child.process, child.start_at = self._spawn(child.program), None

    def watch(self) -> None:
        """Keep everything running until Stopped is raised, or GaveUp."""
        while True:
            self.check()
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Ask all to stop, the last started first; kill what has not stopped after GRACE_S."""
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.terminate()
        ends_at = time.monotonic() + GRACE_S
        for child in self._children:
            try:
                child.process.wait(max(ends_at - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                self._say(f"{child.program.name} did not stop in time and was killed.")
                os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
        self._children.clear()

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        with ExitStack() as stack:
            output = stack.enter_context(program.log.open("ab")) if program.log else None
            return subprocess.Popen(  # noqa: S603 - commands of our own
                program.command,
                env=program.environment,
                cwd=program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C is for the supervisor, which stops its children in order.
                start_new_session=True,
                preexec_fn=self._die_with_parent,  # noqa: PLW1509 - the supervisor has one thread
            )

    def _die_with_parent(self) -> None:
        if self._libc is not None:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _where(program: Program) -> str:
    return f"; its log is {program.log}" if program.log else ""


def raise_on_signals() -> None:
    """SIGTERM, SIGINT and SIGHUP raise Stopped in the main thread, once; later ones change nothing."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def unwind(_number: int, _frame: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    for number in numbers:
        signal.signal(number, unwind)


def background(environment: dict[str, str], logs: Path | None = None) -> Sequence[Program]:
    """Worker, relay and clock."""
    return [
        Program(name, flask(name), environment, logs / f"{name}.log" if logs else None)
        for name in ("worker", "relay", "clock")
    ]


def exporter(environment: dict[str, str], port: int, logs: Path | None = None) -> Program:
    """What serves the metrics of all of them."""
    return Program(
        "metrics", flask("metrics", "--port", str(port)), environment, logs / "metrics.log" if logs else None
    )
