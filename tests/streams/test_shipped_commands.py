"""The commands of docs/running.md with their own flags, under more open pages than there are threads."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import httpx
import pytest
from flask import Flask

from portal.identity.models import Role
from portal.settings import child_environment
from tests.faults.processes import descendants
from tests.faults.stage import free_port
from tests.streams.running import Page
from tests.web.desk import PASSWORD, new_user, open_desk

ROOT = Path(__file__).resolve().parents[2]
# Only so that a hanging one ends: how fast it is, is the bench's matter.
HANGS_S = 240.0
# Read once: reading all authorities of this machine for each request took more than the request.
_TLS = ssl.create_default_context()
pytestmark = [pytest.mark.stages, pytest.mark.timeout(900)]


def status_of(url: str, timeout: float = HANGS_S) -> int:
    """On a connection of its own: one that was kept would not notice a closed door."""
    return httpx.get(url, timeout=timeout, verify=_TLS).status_code


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    base_url: str
    log: Path

    def browser(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.base_url, timeout=HANGS_S, verify=_TLS, headers={"Sec-Fetch-Site": "same-origin"}
        )

    def sign_in(self, email: str) -> httpx.Client:
        browser = self.browser()
        page = browser.get("/sign-in")
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        answer = browser.post("/sign-in", data={"csrf_token": token, "email": email, "password": PASSWORD})
        assert answer.status_code == 303, answer.text[:500]
        return browser

    def hear(self, words: str) -> None:
        """Wait until the log has these words."""
        ends_at = time.monotonic() + HANGS_S
        while words not in self.log.read_text():
            assert time.monotonic() < ends_at, f"{words}: {self.log.read_text()}"
            time.sleep(0.1)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ends_at = time.monotonic() + HANGS_S
    while time.monotonic() < ends_at:
        assert process.poll() is None, log.read_text()
        try:
            if status_of(url, timeout=5) == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@contextmanager
def started(
    log: Path, port: int, *command: str, streams: int | None = None, **environment: str
) -> Iterator[Running]:
    """This command of ours, until it answers, and stopped as an operator stops it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT, env=child_environment(**environment), stdout=output, stderr=output,
        )  # fmt: skip
    try:
        for asked in filter(None, (port, streams)):
            wait_for(f"http://127.0.0.1:{asked}/healthz", process, log)
        yield Running(process, f"http://127.0.0.1:{port}", log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def run_all(log: Path) -> Iterator[Running]:
    """`flask run-all`, on ports that are free."""
    port, streams, metrics = free_port(), free_port(), free_port()
    command = (
        "flask", "--app", "wsgi:app", "run-all", "--bind", f"127.0.0.1:{port}",
        "--streams-port", str(streams), "--metrics-port", str(metrics),
    )  # fmt: skip
    with started(log, port, *command, streams=streams, LOG_FORMAT="json") as running:
        yield running


@pytest.fixture
def web_alone(committed_db: Flask, tmp_path: Path) -> Iterator[Running]:
    """The web's command of docs/running.md, on a port that is free; nothing leads to a process for streams."""
    port = free_port()
    found = re.search(r"^\| web \| `(.+?)` \|", (ROOT / "docs" / "running.md").read_text(), re.MULTILINE)
    assert found is not None
    command = shlex.split(found[1].replace(":8000 ", f":{port} "))
    with started(tmp_path / "web.log", port, *command) as running:
        yield running


def open_page(browser: httpx.Client, path: str) -> Page:
    """As a browser opens a stream: asks the site, follows where it leads, with the same cookies."""
    led = browser.get(path, headers={"Accept": "text/event-stream"})
    assert led.status_code == 307, led.status_code
    to = urlsplit(led.headers["Location"])
    assert to.port is not None
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return Page(to.port, to.path, cookie, seconds=HANGS_S)


@pytest.mark.proves("tried S2", "tried N11")
def test_one_persons_pages_a_renewal_and_deaths_leave_the_house_to_everybody_else_until_its_end(
    committed_db: Flask, tmp_path: Path
) -> None:
    """One house for all of it, since its start is what takes long."""
    tara, sam = new_user(Role.TRADER), new_user(Role.SUPPORT)
    with run_all(tmp_path / "run-all.log") as house:
        crowded = house.sign_in(tara.email)
        held = crowd_of_pages(crowded, 64)
        try:
            assert sorted(page.status for page in held) == [200] * 8 + [204] * 56
            streams = [page for page in held if page.status == 200]
            assert {page.next() for page in streams} == {"bell"}
            assert status_of(f"{house.base_url}/healthz") == 200
            assert house.sign_in(sam.email).get("/account").status_code == 200
            renew_while_every_request_is_answered(house)
            assert {page.next() for page in streams} == {"(end)"}
        finally:
            for page in held:
                page.close()
        what_is_killed_is_said_in_json(house)
        streams = crowd_of_pages(crowded, 8)
        assert {page.next() for page in streams} == {"bell"}
        house.process.send_signal(signal.SIGTERM)
        assert {page.next() for page in streams} == {"(end)"}
        for page in streams:
            page.close()
        assert house.process.wait(120) == 0
        said = [json.loads(line) for line in house.log.read_text().splitlines()]
    assert {"web", "streams", "worker", "relay", "clock", "metrics"} <= {line["role"] for line in said}
    assert any(line.get("logger") == "gunicorn.error" for line in said)
    assert not re.search(r"(web|streams) did not stop in time", house.log.read_text())


def crowd_of_pages(browser: httpx.Client, count: int) -> list[Page]:
    with ThreadPoolExecutor(16) as crowd:
        return list(crowd.map(lambda _: open_page(browser, "/streams/bell"), range(count)))


def renew_while_every_request_is_answered(house: Running) -> None:
    before = set(descendants(house.process.pid))
    stop, answers = Event(), []

    def ask(path: str) -> None:
        while not stop.is_set():
            answers.append(status_of(f"{house.base_url}{path}"))
            time.sleep(0.02)

    with ThreadPoolExecutor(2) as crowd:
        asking = [crowd.submit(ask, path) for path in ("/healthz", "/sign-in")]
        house.process.send_signal(signal.SIGHUP)
        house.hear("All processes are new.")
        stop.set()
        for one in asking:
            one.result()
    assert set(answers) == {200}
    assert before & set(descendants(house.process.pid)) == {house.process.pid}


def what_is_killed_is_said_in_json(house: Running) -> None:
    assert house.browser().get("/nothing").status_code == 404
    # What no application ever sees: the web server itself answers.
    with socket.create_connection(("127.0.0.1", urlsplit(house.base_url).port), timeout=HANGS_S) as raw:
        raw.sendall(b"\x16\x03\x01 no request\r\n\r\n")
        assert b"400" in raw.recv(1000)
    for words, said in ((("gunicorn",), "SIGKILL"), (("relay",), "relay has stopped")):
        os.kill(one_of(house, *words), signal.SIGKILL)
        house.hear(said)


def one_of(running: Running, *words: str) -> int:
    """A process of this house whose command line has all these words: the one that was started last."""
    found = []
    for pid in descendants(running.process.pid):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if set(words) <= set(command):
            found.append(pid)
    return max(found)


@pytest.mark.proves("tried S2")
def test_a_web_that_streams_come_to_itself_holds_none_of_one_persons_sixty_four(
    committed_db: Flask, web_alone: Running
) -> None:
    """An address that leads to the web, or no process for streams: pages are told at once to poll."""
    tara, sam = open_desk(committed_db).user, new_user(Role.SUPPORT)
    crowded = web_alone.sign_in(tara.email)
    cookie = "; ".join(f"{name}={value}" for name, value in crowded.cookies.items())
    port = urlsplit(web_alone.base_url).port
    assert port is not None
    with ThreadPoolExecutor(64) as crowd:
        pages = [
            crowd.submit(Page, port, ("/streams/bell", "/streams/trader")[number % 2], cookie, seconds=60)
            for number in range(64)
        ]
        wait(pages, timeout=30)
        # Their connections are open still, and none has a thread: of so many that come now each of the web's
        # processes gets some.
        with ThreadPoolExecutor(16) as others:
            probe = [others.submit(status_of, f"{web_alone.base_url}/healthz", 60) for _ in range(32)]
            assert {answer.result() for answer in probe} == {200}
        assert web_alone.sign_in(sam.email).get("/account").status_code == 200
        assert {page.result().status for page in pages} == {204}
    for page in pages:
        page.result().close()
