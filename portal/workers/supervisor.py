"""Running several processes as one: start, restart what dies, stop everything together."""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from portal.settings import ready_variable

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.1
LOOK_EVERY_S = 1.0
RESTARTS_PER_MINUTE = 6
GRACE_S = 8.0
READY_WITHIN_S = 120.0
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
    # Sockets that it inherits, which stay open while processes come and go.
    sockets: tuple[int, ...] = ()
    # Two of it cannot be at once: the new one starts when the old one is gone.
    is_single: bool = False


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    deaths: list[float] = field(default_factory=list)
    start_at: float | None = None
    # It says here that it is ready, when it can.
    ready: int = -1

    def stop_waiting(self) -> None:
        """Nobody asks whether it is ready any more."""
        os.close(self.ready)


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


@dataclass(slots=True)
class _Server:
    """Something that is looked after by asking it: it is no child of ours."""

    name: str
    is_up: Callable[[], bool]
    start: Callable[[], object]
    look_at: float = 0.0
    deaths: list[float] = field(default_factory=list)


class Supervisor:
    """Owns its children: none outlives it, not even when it is killed (Linux)."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._children: list[_Child] = []
        self._servers: list[_Server] = []
        self._wants_renewal = False
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def start(self, *programs: Program) -> None:
        for program in programs:
            child = self._spawn(program)
            child.stop_waiting()
            self._children.append(child)

    def look_after(self, name: str, is_up: Callable[[], bool], start: Callable[[], object]) -> None:
        """Start this server again whenever it does not answer; `start` waits until it does."""
        self._servers.append(_Server(name, is_up, start))

    def _check_servers(self) -> None:
        for server in self._servers:
            now = time.monotonic()
            if now < server.look_at:
                continue
            server.look_at = now + LOOK_EVERY_S
            if server.is_up():
                continue
            server.deaths = [death for death in server.deaths if death > now - 60] + [now]
            if len(server.deaths) > RESTARTS_PER_MINUTE:
                raise GaveUp(f"{server.name} stops again and again.")
            self._say(f"{server.name} has stopped; it is started again.")
            server.start()

    def check(self) -> None:
        """Restart what has died. Raises GaveUp when a process dies too often, and what starting a server raises."""
        self._check_servers()
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
                again = self._spawn(child.program)
                again.stop_waiting()
                child.process, child.start_at = again.process, None

    def watch(self) -> None:
        """Keep everything running until Stopped is raised, or GaveUp."""
        while True:
            self.check()
            if self._wants_renewal:
                self._wants_renewal = False
                self._renew()
            time.sleep(POLL_S)

    def renew_on(self, number: signal.Signals) -> None:
        """At this signal, put a new process in the place of each, from what is on the disk then."""

        def want(_number: int, _frame: object) -> None:
            self._wants_renewal = True

        signal.signal(number, want)

    def _renew(self) -> None:
        """One after another: the old one goes when the new one is ready; it stays when that one does not come up."""
        for child in list(self._children):
            name = child.program.name
            if child.program.is_single:
                self._end([child])
            new = self._spawn(child.program)
            is_up = child.program.is_single or self._becomes_ready(new)
            new.stop_waiting()
            if not is_up:
                self._say(f"The new {name} did not come up; the old one goes on.")
                self._end([new])
                return
            old = _Child(child.program, child.process)
            child.process, child.start_at = new.process, None
            self._end([old])
        self._say("All processes are new.")

    def _becomes_ready(self, new: _Child) -> bool:
        """Whether it says so in time; what dies meanwhile is started again as always."""
        ends_at = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < ends_at and new.process.poll() is None:
            if select.select([new.ready], [], [], POLL_S)[0]:
                return os.read(new.ready, 1) != b""
            self.check()
        return False

    def stop(self) -> None:
        """Ask all to stop, the last started first; kill what has not stopped after GRACE_S."""
        self._end(self._children)
        self._children.clear()

    def _end(self, children: Sequence[_Child]) -> None:
        for child in reversed(children):
            if child.process.poll() is None:
                child.process.terminate()
        ends_at = time.monotonic() + GRACE_S
        for child in children:
            try:
                child.process.wait(max(ends_at - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                self._say(f"{child.program.name} did not stop in time and was killed.")
                os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()

    def _spawn(self, program: Program) -> _Child:
        with ExitStack() as stack:
            output = stack.enter_context(program.log.open("ab")) if program.log else None
            ready, say_ready = os.pipe()
            stack.callback(os.close, say_ready)
            process = subprocess.Popen(  # noqa: S603 - commands of our own
                program.command,
                env=program.environment | ready_variable(say_ready),
                cwd=program.cwd,
                pass_fds=(say_ready, *program.sockets),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C is for the supervisor, which stops its children in order.
                start_new_session=True,
                preexec_fn=self._die_with_parent,  # noqa: PLW1509 - the supervisor has one thread
            )
            return _Child(program, process, ready=ready)

    def _die_with_parent(self) -> None:
        if self._libc is not None:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _where(program: Program) -> str:
    return f"; its log is {program.log}" if program.log else ""


def raise_on_signals(*more: signal.Signals) -> None:
    """SIGTERM, SIGINT and those named raise Stopped in the main thread, once; later ones change nothing."""
    numbers = (signal.SIGTERM, signal.SIGINT, *more)

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
        "metrics", flask("metrics", "--port", str(port)), environment, logs / "metrics.log" if logs else None,
        is_single=True,
    )  # fmt: skip
