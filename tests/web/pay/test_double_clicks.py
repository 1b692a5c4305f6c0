"""Who presses twice, where no script stops the second click: it is done once, and both answers lead to the right page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import BytesIO

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.core.db import hot, transaction
from portal.core.uploads import turns
from portal.core.uploads.check import CleanFile
from portal.core.uploads.turns import UploadsBusy
from portal.ledger.integrity import CHECKS, run_checks
from portal.ledger.models import AccountKind
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.traders.models import Trader
from portal.web.pay import guard, steps
from tests.orders.test_payin import DEPOSIT, A
from tests.scene import Scene
from tests.web.pay.customer import Customer, make_scene, picture


@pytest.fixture
def shop(committed_db: Flask) -> Scene:
    return make_scene()


@pytest.fixture
def trader(shop: Scene) -> Trader:
    trader = shop.trader()
    shop.requisite(trader)
    return trader


@pytest.fixture
def customer(committed_db: Flask, shop: Scene, trader: Trader) -> Customer:
    return Customer(committed_db.test_client(), shop.payin())


def press(customer: Customer, path: str = "/claim", raw: bytes | None = None) -> TestResponse:
    """One click, in a browser of its own."""
    data = {
        "csrf_token": guard.csrf_token(customer.token),
        "receipt": (BytesIO(picture() if raw is None else raw), "a.png"),
    }
    return customer.client.application.test_client().post(f"/pay/{customer.token}{path}", data=data)


def entries(customer: Customer) -> list[str]:
    with transaction():
        rows = hot(
            "SELECT kind FROM ledger_entry WHERE subject_id = %(id)s ORDER BY id", {"id": customer.order.id}
        )
    return [row["kind"] for row in rows]


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Grows with each file that is read."""
    read: list[bytes] = []
    check = steps.check_upload

    def counted(raw: bytes, most: int, *, uploader: str) -> CleanFile:
        read.append(raw)
        return check(raw, most, uploader=uploader)

    monkeypatch.setattr(steps, "check_upload", counted)
    return read


def first_click_while_the_second_waits(
    monkeypatch: pytest.MonkeyPatch, first: Callable[[], TestResponse]
) -> list[TestResponse]:
    """The next click's turn never comes; while it waits, this one is carried out. Gives its answer."""
    answers: list[TestResponse] = []
    check = steps.check_upload

    def busy(_raw: bytes, _most: int, *, uploader: str) -> CleanFile:
        monkeypatch.setattr(steps, "check_upload", check)
        answers.append(first())
        raise UploadsBusy

    monkeypatch.setattr(steps, "check_upload", busy)
    return answers


@pytest.mark.races
def test_two_clicks_at_once_claim_once(
    shop: Scene, trader: Trader, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long anybody waits for their turn is not the matter here, and a busy machine is slow.
    monkeypatch.setattr(turns, "_here", None)
    monkeypatch.setattr(turns, "PATIENCE_S", 90)
    start = threading.Barrier(4)
    answers: list[TestResponse] = []

    def click() -> None:
        start.wait()
        answers.append(press(customer))

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    page = f"/pay/{customer.token}"
    assert [(answer.status_code, answer.location) for answer in answers] == [(303, page)] * 4
    now = customer.now()
    assert (now.status, now.hold_minor, now.settlement_minor) == ("awaiting_confirmation", A, A)
    # One receipt, one claim, and nothing between or after them.
    assert customer.events()[-2:] == ["receipt_added", "claimed"]
    assert (customer.events().count("claimed"), now.version) == (1, customer.order.version + 2)
    assert 'data-screen="checking"' in customer.get().text
    assert len(customer.receipts()) == 1
    assert entries(customer) == ["payin_matched"]
    assert shop.trader_balance(trader) == DEPOSIT - A
    assert shop.trader_balance(trader, AccountKind.HELD) == A
    assert shop.store_balance() == 0
    with transaction():
        assert run_checks((*CHECKS, *ORDER_CHECKS)) == []


def test_a_second_click_whose_turn_never_came_is_answered_as_the_first(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = first_click_while_the_second_waits(monkeypatch, lambda: press(customer))
    second = press(customer)
    assert (second.status_code, second.location) == (first[0].status_code, first[0].location)
    assert second.status_code == 303
    assert customer.now().status == "awaiting_confirmation"
    assert (customer.events().count("claimed"), len(customer.receipts())) == (1, 1)


def test_another_file_whose_turn_never_came_is_not_taken_for_the_first(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_click_while_the_second_waits(monkeypatch, lambda: press(customer))
    other = press(customer, raw=picture("another"))
    assert (other.status_code, other.headers["Retry-After"]) == (503, "5")
    assert len(customer.receipts()) == 1


def test_another_orders_file_is_read_for_this_one(
    customer: Customer, shop: Scene, committed_db: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(customer)
    read = count_reads(monkeypatch)
    other = Customer(committed_db.test_client(), shop.payin(1700_00))
    assert press(other).status_code == 303
    assert (len(read), len(other.receipts())) == (1, 1)


@pytest.mark.parametrize("path", ["/claim", "/receipts"])
def test_a_file_that_is_attached_is_not_read_again(
    customer: Customer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert press(customer).status_code == 303
    read = count_reads(monkeypatch)
    version = customer.now().version
    assert press(customer, path).status_code == 303
    assert (read, customer.now().version, len(customer.receipts())) == ([], version, 1)
