"""The demo, whole: one command, a purchase, a confirmation, a clean end, and everything there at the second start."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
import redis as redis_client

from portal.simulator.browser import Browser
from tests import servers
from tests.conftest import Worker

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.stages, pytest.mark.timeout(400)]


def two_free_ports() -> int:
    """A port that is free together with the one after it."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return int(port)


def wait_for(
    condition: Callable[[], Any], seconds: float, demo: subprocess.Popen[bytes] | None = None
) -> Any:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        found = condition()
        if found:
            return found
        assert demo is None or demo.poll() is None, "the demo has ended"
        time.sleep(0.2)
    raise AssertionError("it took too long")


class Demo:
    def __init__(self, var: Path, worker: Worker) -> None:
        self.var, self.port = var, two_free_ports()
        database = f"nostro_test_{worker.run}_{worker.name}_demo"
        servers.create_database(worker.database_url, database, "template0")
        self.database = database
        self._environment = dict(os.environ) | {
            "ENVIRONMENT": "development",
            "DATABASE_URL": servers.database_url_of(worker.database_url, database),
            "REDIS_URL": worker.redis_url,
            "VAR_DIR": str(var),
            "PORT": str(self.port),
            "DEMO_QUIET": "1",
        }

    def embed_servers(self) -> None:
        """Let the demo run its own servers, as on somebody's machine."""
        for name in ("DATABASE_URL", "REDIS_URL"):
            del self._environment[name]

    def run(self, *arguments: str, **changes: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "portal.demo", *arguments],
            cwd=ROOT,
            env=self._environment | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def start(self) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
        facts = self.var / "demo.json"
        facts.unlink(missing_ok=True)
        process = self.run()
        wait_for(facts.is_file, 180, process)
        return process, json.loads(facts.read_text(encoding="utf-8"))

    def children(self) -> list[int]:
        """Every process that works for this demo, found by the settings it was started with."""
        mark = f"UPLOADS_DIR={self.var / 'demo' / 'uploads'}".encode()
        found = []
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    if mark in (process / "environ").read_bytes():
                        found.append(int(process.name))
                except OSError:
                    continue
        return found


@pytest.fixture
def demo(tmp_path: Path, worker: Worker) -> Any:
    made = Demo(tmp_path / "var", worker)
    yield made
    for pid in made.children():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not made.children(), 20)
    servers.drop_databases(worker.database_url, made.database)


def silent(_step: str, _seconds: float) -> None:
    """Nobody asks how long the steps take."""


def buy_and_confirm(facts: dict[str, Any]) -> str:
    """Buy a mug, pay by card, confirm as the trader; the address of the purchase."""
    customer, trader = Browser(facts["shop_url"], silent), Browser(facts["base_url"], silent)
    page = customer.open("/", "shop")
    offer = next(form for form in page.forms if form.fields.get("sku") == "mug")
    page = customer.submit(page, offer, "buy")
    page = customer.open(f"{page.url}?method=card", "method")
    form = page.form_to("/method")
    assert form is not None
    page = customer.submit(page, form, "method", {"bank": ""})
    claim = page.form_to("/claim")
    assert claim is not None
    customer.submit(page, claim, "claim")
    page = trader.open("/sign-in", "sign in")
    form = page.form_to("/sign-in")
    assert form is not None
    trader.submit(page, form, "sign in", facts["logins"]["trader"])
    queue = trader.open("/trader/queue", "queue")
    confirm = next(f for f in queue.forms if f.action.endswith("/confirmation") and "amount" not in f.fields)
    trader.submit(queue, confirm, "confirm")
    return f"{facts['shop_url']}/purchases/{offer.fields['purchase']}"


def is_paid(purchase: str) -> bool:
    browser = Browser(purchase, silent)
    return bool(re.search(r'data-status="completed"', browser.open(purchase, "purchase").text))


def test_a_stranger_buys_pays_confirms_and_the_shop_turns_paid(demo: Demo) -> None:
    process, facts = demo.start()
    assert sorted(facts) == [
        "api_keys",
        "base_url",
        "logins",
        "metrics_url",
        "shop_url",
        "store_id",
        "webhook_secret",
    ]
    assert sorted(facts["logins"]) == ["admin", "lead", "merchant", "support", "trader"]
    assert stat.S_IMODE((demo.var / "demo.json").stat().st_mode) == 0o600
    purchase = buy_and_confirm(facts)
    wait_for(lambda: is_paid(purchase), 60, process)

    refused = demo.run("--reset")
    assert refused.wait(60) == 1
    assert b"running already" in refused.communicate()[1]

    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert demo.children() == []

    again, later = demo.start()
    assert later == facts
    assert is_paid(purchase)

    # Killed outright: nothing of it stays behind, and nothing stands in the way of the next start.
    again.kill()
    again.wait()
    wait_for(lambda: not demo.children(), 30)


def pids_of_servers(settings: dict[str, str], missing: set[int] = frozenset()) -> set[int]:  # type: ignore[assignment]
    """PostgreSQL's and Valkey's, as they themselves say; `missing` while one of them does not answer."""
    try:
        with (
            psycopg.connect(settings["DATABASE_URL"].replace("+psycopg", "")) as connection,
            redis_client.Redis.from_url(settings["REDIS_URL"]) as client,
        ):
            # The role that serves may not ask where the data are; its backend is a child of the postmaster.
            backend = Path(f"/proc/{connection.info.backend_pid}/status").read_text(encoding="utf-8")
            postmaster = next(line.split()[1] for line in backend.splitlines() if line.startswith("PPid:"))
            return {int(postmaster), int(client.info("server")["process_id"])}
    except (psycopg.OperationalError, redis_client.RedisError):
        return set(missing)


@pytest.mark.proves("tried C10", "tried S21")
@pytest.mark.timeout(900)
def test_servers_that_die_are_started_again_and_the_first_requests_after_that_are_answered(
    demo: Demo,
) -> None:
    demo.embed_servers()
    process, facts = demo.start()
    lines = (demo.var / "demo" / "environment").read_text(encoding="utf-8").splitlines()
    settings = {name: value.strip("'") for name, value in (line.split("=", 1) for line in lines)}
    assert urlsplit(settings["DATABASE_URL"]).username == "nostro_writer"
    address = f"{facts['base_url'].replace('localhost', '127.0.0.1')}/api/v1/orders"
    key = {"Authorization": f"Bearer {facts['api_keys']['live']}"}

    def ask(_number: int) -> int:
        return httpx.get(address, headers=key, timeout=60).status_code

    try:
        with ThreadPoolExecutor(8) as crowd:
            # Each of the processes has connections that will be dead.
            assert set(crowd.map(ask, range(32))) == {200}
            before = pids_of_servers(settings)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not before & pids_of_servers(settings, missing=before), 120, process)
            assert list(crowd.map(ask, range(16))) == [200] * 16
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    for name in ("PostgreSQL", "Valkey"):
        assert f"{name} has stopped; it is started again." in said.decode()
    assert process.returncode == 0
    assert demo.run("--reset").wait(60) == 0


def test_a_taken_port_is_one_sentence(demo: Demo) -> None:
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", demo.port))
        squatter.listen()
        process = demo.run()
        assert process.wait(60) == 1
    _, said = process.communicate()
    assert said.decode().splitlines() == [
        f"Port {demo.port} is taken; choose another one, such as: make demo PORT=8100"
    ]


def test_production_refuses_the_demo(demo: Demo) -> None:
    process = demo.run(ENVIRONMENT="production")
    assert process.wait(60) == 1
    assert b"not for production" in process.communicate()[1]
    assert not (demo.var / "demo").exists()
