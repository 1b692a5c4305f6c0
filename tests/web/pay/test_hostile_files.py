"""What strangers send to a payment page costs nobody else their turn, and is shown as a picture alone."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask
from PIL import Image

from portal.core import limits
from portal.core.ids import public_id
from portal.core.uploads import check, turns
from portal.core.uploads.sandbox import Facts, Killed
from portal.settings import get_settings
from portal.web.pay import guard, steps
from tests.sent_files import costly, quadratic, receipt_pdf
from tests.web.pay.customer import Customer, make_scene


def customers_at(app: Flask, *addresses: str) -> list[Customer]:
    """A payment link for each, opened from there."""
    with app.app_context():
        scene = make_scene()
        scene.requisite(scene.trader())
        orders = [scene.payin(1500_00 + number) for number in range(len(addresses))]
    found = [Customer(app.test_client(), order) for order in orders]
    for customer, address in zip(found, addresses, strict=True):
        customer.client.environ_base["REMOTE_ADDR"] = address
    return found


@pytest.fixture
def customers(committed_db: Flask) -> list[Customer]:
    return customers_at(committed_db, *(f"192.0.2.{number}" for number in range(4)))


def attach(customer: Customer, raw: bytes) -> tuple[int, str]:
    answer = customer.post("/receipts", {"receipt": (BytesIO(raw), "receipt.pdf")})
    return answer.status_code, answer.text


class Attack:
    """Each customer sends the file at the same moment, while somebody else asks for pages.

    `events` is the order in which answers came: "answered" for pages asked for while all files were being read.
    """

    def __init__(
        self, app: Flask, customers: list[Customer], raw: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.app, self.customers, self.raw = app, customers, raw
        self.events: list[str] = []
        self.answers: list[tuple[int, str]] = []
        self._entered = threading.Semaphore(0)
        read = steps.check_upload

        def entered(*args: object, **options: object) -> object:
            self._entered.release()
            return read(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(steps, "check_upload", entered)

    def _send(self, customer: Customer) -> None:
        self.answers.append(attach(customer, self.raw))
        self.events.append("read")

    def run(self, ask: Callable[[], int]) -> None:
        threads = [threading.Thread(target=self._send, args=(one,)) for one in self.customers]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert self._entered.acquire(timeout=60)
        while any(thread.is_alive() for thread in threads):
            assert ask() == 200
            self.events.append("answered")
        for thread in threads:
            thread.join()


def spent() -> tuple[float, float]:
    """Seconds of the processor that this process has used, and its children that have ended."""
    mine, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime, theirs.ru_utime + theirs.ru_stime


@pytest.mark.proves("tried S1")
@pytest.mark.parametrize("path", ["/healthz", "/sign-in"])
def test_four_hostile_pdfs_at_once_leave_health_and_sign_in_answering(
    committed_db: Flask, customers: list[Customer], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The 60 KB that stopped everything for half a minute."""
    visitor = committed_db.test_client()
    attack = Attack(committed_db, customers, quadratic(60), monkeypatch)
    attack.run(lambda: visitor.get(path).status_code)
    assert attack.events[0] == "answered"
    refused = dict(attack.answers)
    assert refused.keys() <= {422, 503}, "503: the machine was busy"
    assert "could not be read" in refused[422]


@pytest.mark.proves("tried S1")
def test_the_costliest_pdf_spends_its_readers_time_and_nobody_elses(
    committed_db: Flask, customers: list[Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are read, who waits in vain is told when to come back, and pages are answered all the while."""
    raw = costly()["a path that crosses itself for ever"]
    visitor = committed_db.test_client()
    attack = Attack(committed_db, customers, raw, monkeypatch)
    mine, theirs = spent()

    def ask() -> int:
        time.sleep(0.05)
        return visitor.get("/healthz").status_code

    attack.run(ask)
    mine_after, theirs_after = spent()
    assert attack.events.index("read") > 5
    assert sorted(status for status, _ in attack.answers) in ([422, 422, 503, 503], [422, 422, 422, 503])
    assert theirs_after - theirs > 2 * (mine_after - mine), "the work was not done here"


class HeldReader:
    """In place of the sandbox: each file is read until it is let go, then it was too costly."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.let_go = threading.Event()

    def read(self, _kind: object, raw: bytes) -> Facts:
        self.begun.append(raw)
        assert self.let_go.wait(60)
        raise Killed("time")


def until(what: Callable[[], bool]) -> None:
    """For a state that must come and then stays."""
    for _ in range(3000):
        if what():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


@pytest.mark.proves("tried S1")
def test_twelve_links_of_one_network_hold_one_turn_and_somebody_else_gets_the_next(
    committed_db: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    *links, person = customers_at(committed_db, *["192.0.2.1"] * 12, "198.51.100.1")
    queue = turns.Turns(turns.RUNNING, 8, turns.WAITING_OF_EACH, patience_s=60)
    reader, answers = HeldReader(), list[int]()
    monkeypatch.setattr(turns, "_here", queue)
    monkeypatch.setattr(turns, "PATIENCE_S", 60)
    monkeypatch.setattr(check, "read_file", reader.read)
    hostile, honest = receipt_pdf(b"hostile"), receipt_pdf(b"honest")

    def send(customer: Customer, raw: bytes) -> None:
        answers.append(attach(customer, raw)[0])

    threads = [threading.Thread(target=send, args=(link, hostile)) for link in links]
    try:
        for thread in threads:
            thread.start()
        until(lambda: len(reader.begun) + len(queue._waiting) + len(answers) == 12)
        assert reader.begun == [hostile]
        assert answers == [503] * 8
        threads.append(threading.Thread(target=send, args=(person, honest)))
        threads[-1].start()
        until(lambda: len(reader.begun) > 1)
        assert reader.begun == [hostile, honest]
    finally:
        reader.let_go.set()
        for thread in threads:
            thread.join()
    assert reader.begun == [hostile, honest, hostile], (
        "who waited behind files that were killed is told to come back"
    )
    assert sorted(answers) == [422] * 3 + [503] * 10


def test_who_comes_when_many_wait_is_told_kindly_when_to_come_back(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_here", turns.Turns(running=0, waiting=0, waiting_of_each=0, patience_s=0.01))
    answer = customer.post("/receipts", {"receipt": (BytesIO(receipt_pdf()), "receipt.pdf")})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "attach it again in a few seconds" in answer.text
    assert "Choose a file" in answer.text, "the page is there to do so"
    assert customer.receipts() == []


@pytest.mark.proves("tried S1")
@pytest.mark.parametrize(
    ("second", "language", "words"),
    [
        (23, "en", "attach the receipt in 37 seconds."),
        (59, "en", "attach the receipt in 1 second."),
        (39, "ru", "прикрепите чек через 21 секунду."),
        (57, "ru", "прикрепите чек через 3 секунды."),
        (0, "ru", "прикрепите чек через 60 секунд."),
    ],
)
def test_whose_networks_files_were_killed_is_told_the_wait_that_there_is(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, second: int, language: str, words: str
) -> None:
    now = time.time() // 60 * 60 + 60 + second
    for module in (limits, turns):
        monkeypatch.setattr(
            module, "time", SimpleNamespace(time=lambda: now, monotonic=time.monotonic, sleep=time.sleep)
        )
    turns.costly.forget()
    turns.costly.everywhere(turns.uploader_at("127.0.0.1"), turns.KILLED_A_MINUTE)
    path = f"/receipts?lang={language}"
    answer = customer.post(path, {"receipt": (BytesIO(receipt_pdf()), "receipt.pdf")})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, str(60 - second))
    assert words in answer.text
    assert customer.receipts() == []
    turns.costly.forget()


def test_a_file_for_a_link_of_nobody_is_not_even_looked_at(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    monkeypatch.setattr(steps, "check_upload", lambda *args, **_options: looked.append(args))
    token = "a" * 26
    fields = {"csrf_token": guard.csrf_token(token), "receipt": (BytesIO(receipt_pdf()), "receipt.pdf")}
    assert customer.client.post(f"/pay/{token}/receipts", data=fields).status_code == 404
    assert looked == []


@pytest.mark.proves("tried S15")
def test_a_pdf_is_shown_as_a_picture_and_saved_as_what_it_is(customer: Customer) -> None:
    assert attach(customer, receipt_pdf())[0] == 303
    customer.post("/claim")
    page = customer.get().text
    (row,) = customer.receipts()
    shown, saved = (f'href="{address}' in page for address in addresses(customer, row["id"]))
    assert (shown, saved) == (True, True)
    picture, original = (customer.client.get(address) for address in addresses(customer, row["id"]))
    assert Image.open(BytesIO(picture.data)).format == "JPEG"
    assert original.data == receipt_pdf()
    assert original.mimetype == "application/pdf"
    for answer in (picture, original):
        assert answer.headers["Content-Disposition"].startswith("attachment; ")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")


def addresses(customer: Customer, receipt_id: object) -> tuple[str, str]:
    one = f"/pay/{customer.token}/receipts/{public_id('rcp', receipt_id)}"  # type: ignore[arg-type]
    return one, f"{one}?original=1"


def test_the_readers_turns_leave_nothing_among_the_files_of_receipts(customer: Customer) -> None:
    attach(customer, receipt_pdf())
    kept = {path.name for path in Path(get_settings().uploads_dir).resolve().iterdir()}
    assert all(len(name) == 2 for name in kept - {turns._FOLDER})
