"""A mail server that hangs or is gone, and pictures that eat whoever reads them."""

from __future__ import annotations

import io
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image
from werkzeug.test import TestResponse

from portal.core.db import hot, transaction
from portal.core.uploads import sandbox
from portal.mail import transport
from portal.mail.transport import SmtpTransport
from portal.settings import get_settings
from portal.workers import postman
from tests.api.conftest import code_of
from tests.faults.proxy import Proxy, proxy_to
from tests.faults.single.conftest import Site
from tests.mail.smtp_server import SmtpServer, smtp_server
from tests.web.desk import Browser


def ask_for_a_new_password(site: Site) -> float:
    """Seconds until the person read that a letter is on its way."""
    browser = Browser(site.app.test_client())
    browser.read_token("/password-reset")
    started = time.monotonic()
    answer = browser.post("/password-reset", {"email": site.desk.user.email}, htmx=False)
    assert answer.status_code in {200, 303}, answer.text
    return time.monotonic() - started


@contextmanager
def posting(site: Site, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A postman at work who knows this mail server."""
    own = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none"}
    carrying = SmtpTransport(get_settings().model_copy(update=own))
    monkeypatch.setattr(postman, "transport_for", lambda _settings: carrying)
    stop = threading.Event()
    thread = threading.Thread(target=postman.post_until, args=(site.app, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def letters(site: Site) -> list[tuple[str, int, bool]]:
    """State, attempts, and whether it rests before its next one."""
    return site.sql(
        "SELECT state, attempts, next_at > clock_timestamp() FROM mail WHERE recipient = %s",
        site.desk.user.email,
    )


def until(condition: object, within_s: float = 15) -> None:
    assert callable(condition)
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.proves("F27")
@pytest.mark.faults
@pytest.mark.parametrize("how", ["hangs", "is gone"])
def test_people_go_on_without_the_mail_server_and_their_letter_comes_later(
    site: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_S", 1)
    with smtp_server() as server, proxy_to(("127.0.0.1", server.port)) as way:
        with posting(site, way.port, monkeypatch):
            _break(way, server, how)
            assert ask_for_a_new_password(site) < 1.0
            assert site.shop.create().status_code == 201
            until(lambda: letters(site)[0][1] == 1)
            until(lambda: letters(site) == [("pending", 1, True)])
            way.mend()
            way.target = ("127.0.0.1", server.port)
            site.sql("UPDATE mail SET next_at = clock_timestamp() WHERE recipient = %s", site.desk.user.email)
            until(lambda: letters(site)[0][0] == "sent")
        arrived = [who for who, _ in server.arrived]
    assert arrived.count(site.desk.user.email) == 1


def _break(way: Proxy, server: SmtpServer, how: str) -> None:
    if how == "hangs":
        way.swallow()
    else:
        way.target = ("127.0.0.1", 9)


def large_picture() -> bytes:
    """As large as is allowed, and small as a file: 24 million pixels that take a moment to read."""
    image = Image.linear_gradient("L").resize((4900, 4900)).convert("RGB")
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def attach(site: Site, order: str, raw: bytes) -> TestResponse:
    data = {"file": (io.BytesIO(raw), "receipt.png")}
    return site.shop.call("POST", f"/api/v1/orders/{order}/receipts", data=data)


def decoders() -> list[int]:
    """Children of this process that read a picture."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return [pid for pid in found if b"sandboxed" in _command(pid)]


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def refused_and_alive(site: Site, order: str, answer: TestResponse) -> None:
    """The upload alone failed: no row, no file, and everything else works."""
    assert answer.status_code == 422, answer.json
    assert code_of(answer) == "validation_failed"
    assert site.sql(
        "SELECT count(*) FROM receipt r JOIN orders o ON o.id = r.order_id WHERE o.store_id = %s",
        site.shop.store_id,
    ) == [(0,)]
    assert site.shop.get(f"/api/v1/orders/{order}").json["status"] == "awaiting_payment"  # type: ignore[index]
    assert site.app.test_client().get("/healthz").status_code == 200
    assert decoders() == []


@pytest.mark.proves("F28")
def test_a_picture_for_which_memory_is_short_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The reader itself, with less memory than the picture takes."""
    shutil.copytree(sandbox._HOME / "sandboxed", tmp_path / "sandboxed")
    limits = tmp_path / "sandboxed" / "isolation.py"
    limits.write_text(limits.read_text().replace("512 * 1024 * 1024", "128 * 1024 * 1024"))
    monkeypatch.setattr(sandbox, "_HOME", tmp_path)
    order = (site.shop.create().json or {})["id"]
    refused_and_alive(site, order, attach(site, order, large_picture()))
    monkeypatch.undo()
    assert attach(site, order, large_picture()).status_code == 201


@pytest.mark.proves("F28")
def test_a_reader_of_pictures_that_is_killed_costs_its_upload_alone(site: Site) -> None:
    order = (site.shop.create().json or {})["id"]
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.is_set() and not killed:
            for pid in decoders():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(0.002)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        answer = attach(site, order, large_picture())
    finally:
        over.set()
        thread.join(5)
    assert killed
    refused_and_alive(site, order, answer)


@pytest.mark.proves("F27")
def test_a_letter_waits_in_the_transaction_of_what_it_tells(site: Site) -> None:
    with transaction():
        before = hot("SELECT count(*) AS n FROM mail")[0]["n"]
    ask_for_a_new_password(site)
    with transaction():
        assert hot("SELECT count(*) AS n FROM mail")[0]["n"] == before + 1
