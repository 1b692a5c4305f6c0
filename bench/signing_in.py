"""What eight people who sign in at once do to everybody else's pages: passwords are hashed on purpose slowly."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import httpx

from bench.client import Load, Request, http_request, run_load
from bench.confirming import sign_in
from bench.run import Run
from bench.stage import Server, served
from bench.world import PASSWORD, World
from portal.settings import Settings

_AT_ONCE = 8
_READERS = 2
_ROUTES = {"/account": "an own page", "/sign-in": "the sign-in page", "/healthz": "health"}


def _reader(port: int, world: World, path: str) -> Callable[[], Request]:
    cookie, _token = sign_in(port, world.people["support"])
    headers = {"Accept": "text/html", "Accept-Language": "en"}
    if path != "/sign-in":
        headers["Cookie"] = cookie
    return lambda: http_request("GET", path, headers, host="localhost")


def _sign_in_again_and_again(port: int, email: str, until: Callable[[], bool]) -> int:
    done = 0
    headers = {"Host": "localhost", "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as browser:
        page = browser.get("/sign-in")
        cookie = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
        form = {"csrf_token": _token(page.text), "email": email, "password": PASSWORD}
        while not until():
            answer = browser.post("/sign-in", data=form, headers={"Cookie": cookie})
            if answer.status_code not in {303, 503}:
                raise RuntimeError(f"signing in as {email}: {answer.status_code}")
            done += answer.status_code == 303
    return done


def _token(page: str) -> str:
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def measure(run: Run) -> None:
    """One path at a time, quiet and crowded in turn; the worst of their ratios is what counts."""
    env = {"DATABASE_URL": run.dsn, "DB_POOL_SIZE": str(Settings.model_fields["db_pool_size"].default)}
    with served("wsgi:app", env, server="gunicorn", threads=64) as server:
        for path, name in _ROUTES.items():
            reader = _reader(server.port, run.world, path)
            quiet, crowded, signed_in = [], [], 0
            for _ in range(run.rounds):
                quiet.append(_read(server, reader, run.seconds).percentile(0.95))
                load, done = _read_in_a_crowd(server, reader, run)
                crowded.append(load.percentile(0.95))
                signed_in += done
            run.table.at_most(
                f"{name} ({path}): p95 while {_AT_ONCE} sign in to the quiet p95",
                statistics.median(crowded), statistics.median(quiet), 2.0, "ms",
                f"{signed_in / run.rounds / run.seconds:.0f} sign-ins/s meanwhile",
            )  # fmt: skip


def _read(server: Server, reader: Callable[[], Request], seconds: float) -> Load:
    return run_load(server.port, [reader] * _READERS, seconds, expected=200)


def _read_in_a_crowd(server: Server, reader: Callable[[], Request], run: Run) -> tuple[Load, int]:
    stopped: list[bool] = []
    emails: Iterable[str] = [email for _, email in run.world.traders[:_AT_ONCE]]
    with ThreadPoolExecutor(_AT_ONCE) as crowd:
        going = [
            crowd.submit(_sign_in_again_and_again, server.port, email, lambda: bool(stopped))
            for email in emails
        ]
        try:
            load = _read(server, reader, run.seconds)
        finally:
            stopped.append(True)
        return load, sum(one.result() for one in going)
