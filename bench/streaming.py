"""What a thousand open pages of three hundred people cost: memory of the streams' processes, and everybody else's time."""

from __future__ import annotations

import resource
import signal
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import creating
from bench.apps import app_for
from bench.client import run_load
from bench.meter import of_children, spent
from bench.run import CLIENTS, Run
from bench.stage import ROOT, free_port, served, wait_until_up
from portal.settings import child_environment

STREAMS, PEOPLE, PROCESSES = 1000, 300, 2
MOST_MB = 250.0
_READ_S = 120


def measure(run: Run) -> None:
    """Creating payins with all streams closed and all open in turn, and the processes' memory while they are open."""
    _allow_many_files()
    env = {"DATABASE_URL": run.dsn}
    cookies = _people(run)
    make = creating.ours(run.world)
    quiet, crowded, busy, memory = [], [], [], 0.0
    with ExitStack() as stage:
        web = stage.enter_context(served("wsgi:app", env, server="gunicorn", threads=16))
        processes = [stage.enter_context(_streams(web.port, env)) for _ in range(PROCESSES)]
        for _ in range(run.rounds):
            quiet.append(run_load(web.port, [make] * CLIENTS, run.seconds, expected=201).percentile(0.95))
            with _open_pages([port for port, _ in processes], cookies) as events:
                before = [of_children(pid)() for _, pid in processes]
                crowded.append(
                    run_load(web.port, [make] * CLIENTS, run.seconds, expected=201).percentile(0.95)
                )
                after = [of_children(pid)() for _, pid in processes]
                busy.append(sum(map(spent, before, after)) / run.seconds)
                memory = max(memory, sum(_resident_mb(pid) for _, pid in processes))
                heard = sum(len(page.recv(65536)) > 0 for page in events)
            if not heard:
                raise RuntimeError("no trader's page has heard of an order")
    run.table.at_most(
        f"memory of {PROCESSES} processes with {STREAMS:,} streams of {PEOPLE} people",
        memory,
        MOST_MB,
        1.0,
        "MB",
    )
    run.table.at_most(
        f"create a payin: p95 with {STREAMS:,} open streams to that without", statistics.median(crowded),
        statistics.median(quiet), 1.1, "ms", f"the streams' processes take {statistics.median(busy):.0%} of a core",
    )  # fmt: skip


def _people(run: Run) -> list[tuple[str, str]]:
    """(path, cookie) of every stream: each trader's queue, and the bells of many others, three or four pages each."""
    from portal.core.db import transaction
    from portal.identity.models import Role
    from portal.identity.queries import find_user_by_email
    from portal.identity.service import create_user
    from portal.identity.tokens.sessions import SessionTimes, start_session

    found: list[tuple[str, str]] = []
    with app_for(run.dsn) as app, app.app_context(), transaction():
        for number in range(PEOPLE):
            if number < len(run.world.traders):
                path, user = "/streams/trader", find_user_by_email(run.world.traders[number][1])
            else:
                email = f"listener{number}@bench.example"
                path, user = "/streams/bell", create_user(email, "Listener", None, [Role.MERCHANT])
            assert user is not None
            token = start_session(user.id, "127.0.0.1", None, SessionTimes(absolute_s=36000)).token
            found.append((path, f"nostro_session={token}"))
    return [found[number % PEOPLE] for number in range(STREAMS)]


@contextmanager
def _streams(web_port: int, env: dict[str, str]) -> Iterator[tuple[int, int]]:
    """A streams' process; yields its port and its id."""
    port = free_port()
    arguments = ["--port", str(port), "--web", f"http://127.0.0.1:{web_port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.workers.streams", *arguments],
        cwd=ROOT, env=child_environment() | env, stdout=sys.stderr, stderr=sys.stderr,
    )  # fmt: skip
    try:
        wait_until_up(f"http://127.0.0.1:{port}/healthz", process)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextmanager
def _open_pages(ports: list[int], cookies: list[tuple[str, str]]) -> Iterator[list[socket.socket]]:
    """All streams open, each past its first event; yields those of the traders, who hear of orders."""

    def begin(number: int) -> socket.socket:
        path, cookie = cookies[number]
        page = socket.create_connection(("127.0.0.1", ports[number % len(ports)]), timeout=_READ_S)
        page.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
        said = b""
        while b"event: bell" not in said:
            said += (more := page.recv(4096))
            if not more or b" 200 " not in said[:16]:
                raise RuntimeError(f"a stream was refused: {said[:200]!r}")
        return page

    with ThreadPoolExecutor(16) as crowd:
        pages = list(crowd.map(begin, range(len(cookies))))
    try:
        yield [page for page, (path, _) in zip(pages, cookies, strict=True) if path == "/streams/trader"]
    finally:
        for page in pages:
            page.close()


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def _allow_many_files() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
