"""The payment page: its throughput, what a first view transfers, how many statements it takes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from bench.client import Load, Request, http_request, run_load
from bench.creating import ours as create_requests
from bench.run import CLIENTS, Run
from bench.stage import served
from bench.yardstick import Side, in_turn

_PAGES = 64
_PARTS = re.compile(r'<(?:link|script|img|use)\b[^>]*?\b(?:href|src)="([^"#]+)')
# As the log writes a statement of either protocol; only the session's transaction brackets are not counted.
_STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*)")
_BRACKETS = {"BEGIN", "COMMIT", "ROLLBACK"}


@dataclass(frozen=True)
class FirstView:
    """What a browser loads that has never been here, in bytes with the heads of the answers."""

    parts: dict[str, int]
    is_compressed: bool

    @property
    def total(self) -> int:
        return sum(self.parts.values())


def new_tokens(port: int, run: Run, count: int) -> list[str]:
    """Tokens of payins made through the API, which nobody has looked at."""
    make, tokens = create_requests(run.world), []
    left = iter(range(count))

    def some() -> Request | None:
        return make() if next(left, None) is not None else None

    load = run_load(port, [some] * 4, 30.0, expected=201, keep=True)
    for body in load.bodies:
        found = re.search(rb'"payment_url": ?"[^"]*/pay/([a-z2-7]{26})"', body)
        if found is not None:
            tokens.append(found[1].decode())
    if len(tokens) < count:
        raise RuntimeError(f"only {len(tokens)} of {count} payment links: {load.unexpected} {load.example!r}")
    return tokens


def pages(tokens: list[str]) -> Callable[[], Request]:
    def make() -> Request:
        headers = {"Accept": "text/html", "Accept-Language": "en", "Accept-Encoding": "gzip"}
        return http_request("GET", f"/pay/{random.choice(tokens)}", headers, host="localhost")

    return make


def first_view(port: int, token: str) -> FirstView:
    """The page and everything that it names and a browser fetches at once."""
    headers = {"Accept-Encoding": "gzip", "Accept-Language": "en", "Host": "localhost"}
    parts, compressed = {}, False
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as browser:

        def fetch(path: str) -> str:
            nonlocal compressed
            with browser.stream("GET", path) as answer:
                answer.raise_for_status()
                head = sum(len(name) + len(value) + 4 for name, value in answer.headers.raw) + 19
                raw = b"".join(answer.iter_raw())
            compressed = compressed or "content-encoding" in answer.headers
            parts[path.partition("?")[0].replace(token, "<token>")] = head + len(raw)
            return raw.decode(errors="replace")

        page = fetch(f"/pay/{token}")
        for path in sorted({found for found in _PARTS.findall(page) if found.startswith("/")}):
            if not path.startswith("/pay/" + token):
                fetch(path)
    return FirstView(parts, compressed)


def count_statements(run: Run, log: Path, warm: str, token: str) -> int:
    """Statements that PostgreSQL executes for the first view of a payin, in a process that has served others."""
    _log_statements(run, "all")
    with served("wsgi:app", {"DATABASE_URL": run.dsn}, workers=1) as server:
        for _ in range(3):
            _get(server.port, warm)
        start = log.stat().st_size
        _get(server.port, token)
    _log_statements(run, "none")
    with log.open(errors="replace") as text:
        text.seek(start)
        found = [match[1].strip() for line in text if (match := _STATEMENT.search(line))]
    statements = [one for one in found if one.split(" ")[0].rstrip(";").upper() not in _BRACKETS]
    if not statements:
        raise RuntimeError("the server's log shows no statement")
    return len(statements)


def _log_statements(run: Run, which: str) -> None:
    """For connections that begin from now on."""
    with psycopg.connect(run.dsn, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE \"{name}\" SET log_statement = '{which}'")


def _get(port: int, token: str) -> None:
    httpx.get(f"http://127.0.0.1:{port}/pay/{token}", headers={"Accept-Language": "en"}).raise_for_status()


def _load(port: int, make: Callable[[], Request]) -> Callable[[float], Load]:
    return lambda seconds: run_load(port, [make] * CLIENTS, seconds, expected=200)


def _banks(dsn: str) -> str:
    """The suggestions of the page, for the bare one to show as many."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT b.name_en FROM bank b JOIN bank_method m ON m.bank = b.code"
            " WHERE m.method = 'card' AND m.currency = 'RUB'"
        ).fetchall()
    return "|".join(name for (name,) in rows)


def measure(run: Run, log: Path) -> None:
    bare = http_request("GET", "/page", {"Accept": "text/html"})
    with (
        served("wsgi:app", {"DATABASE_URL": run.dsn}) as mine,
        served("bench.bare_app:app", {"BENCH_BANKS": _banks(run.dsn)}) as other,
    ):
        *tokens, fresh, seen = new_tokens(mine.port, run, _PAGES)
        view = first_view(mine.port, seen)
        results = in_turn(
            {
                "ours": Side(mine, _load(mine.port, pages(tokens))),
                "bare": Side(other, _load(other.port, lambda: bare)),
            },
            run.rounds,
            run.seconds,
            run.postmaster,
        )
    rows = run.table.http_rows("payment page", results)
    fast, plain = rows["ours"], rows["bare"]
    run.table.at_least(
        "payment page: throughput to the bare route", fast.per_second, plain.per_second, 0.5, "/s"
    )
    run.table.report("payment page: p95 to the bare route's", fast.p95_ms, plain.p95_ms, "ms")
    run.table.report_cpu("payment page to the bare route", fast, plain)
    how = "gzip" if view.is_compressed else "served without compression"
    parts = ", ".join(f"{path} {size:,}" for path, size in view.parts.items())
    run.table.at_most(
        "payment page: bytes of a first view to 50 KB", view.total, 50_000, 1.0, "B", f"{how}: {parts}"
    )
    statements = count_statements(run, log, seen, fresh)
    run.table.at_most(
        "payment page: statements of a first view to 5", statements, 5, 1.0, "", "as PostgreSQL logs them"
    )
