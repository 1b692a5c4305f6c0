"""Maintenance: nothing new begins, by API, page or verb; what runs is finished; all of it is told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from portal.api import authentication
from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.orders.models import ReceiptKind
from portal.orders.queries import get_order
from portal.orders.receipts import add_receipt
from portal.orders.service import accept_payout, claim_payout, confirm_payin, confirm_payout
from portal.reference.errors import InMaintenance
from portal.reference.maintenance import begin_maintenance, end_maintenance
from portal.reference.snapshot import forget_all
from portal.traders.models import Requisite, Trader
from tests.api.conftest import Shop, code_of, open_shop
from tests.scene import Scene, as_trader
from tests.web.desk import upload
from tests.web.pay.customer import Customer


def flask(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["maintenance", *arguments])


@pytest.fixture
def shop(app: Flask, scene: Scene) -> Iterator[Shop]:
    shop = open_shop(app)
    shop.trader()
    for counter in (authentication.callers, authentication.strangers, authentication.refused):
        counter.forget()
    yield shop
    authentication.callers.forget()


def begin() -> None:
    with transaction():
        begin_maintenance(SYSTEM, retry_after_s=120)


def end() -> None:
    with transaction():
        end_maintenance(SYSTEM)


def test_a_new_order_is_refused_with_503_and_retry_after_and_nothing_is_written(shop: Shop) -> None:
    before = shop.state()
    begin()
    answer = shop.create()
    assert (answer.status_code, code_of(answer), answer.headers["Retry-After"]) == (503, "maintenance", "120")
    assert shop.state() == before
    end()
    assert shop.create().status_code == 201


def test_a_payout_is_refused_and_holds_nothing(shop: Shop) -> None:
    shop.fund()
    before = shop.state()
    begin()
    recipient = {"method": "card", "bank": "sber", "number": "4111111111111111", "holder": "IVAN P."}
    body = {"direction": "payout", "amount": "1500.00", "currency": "RUB", "recipient": recipient}
    assert code_of(shop.post("/api/v1/orders", body)) == "maintenance"
    assert shop.state() == before


def test_what_was_answered_before_is_answered_again(shop: Shop) -> None:
    key = uuid.uuid4().hex
    first = shop.create(idem=key)
    begin()
    again = shop.create(idem=key)
    assert (again.status_code, again.json) == (201, first.json)


def test_choosing_a_method_by_the_api_is_refused_and_the_order_stays_as_it_was(shop: Shop) -> None:
    order = shop.order(method=None)
    begin()
    answer = shop.post(f"/api/v1/orders/{order['id']}/method", {"method": "card"})
    assert code_of(answer) == "maintenance"
    shown = shop.get(f"/api/v1/orders/{order['id']}")
    assert (shown.status_code, (shown.json or {})["version"]) == (200, order["version"])


def test_a_running_payin_is_claimed_cancelled_and_read_through_the_api(shop: Shop) -> None:
    claimed, cancelled = shop.order(), shop.order(amount="1600.00")
    begin()
    assert shop.post(f"/api/v1/orders/{claimed['id']}/claim", {}).status_code == 200
    assert shop.post(f"/api/v1/orders/{cancelled['id']}/cancel").status_code == 200
    assert shop.drive(claimed, "confirm").status_code == 200
    assert (shop.get(f"/api/v1/orders/{claimed['id']}").json or {})["status"] == "completed"


def test_a_running_payin_is_paid_claimed_and_confirmed(customer: Customer, trader: Trader) -> None:
    begin()
    assert customer.get().status_code == 200
    assert customer.post("/claim", {"name": "Ivan"}).status_code == 303
    with transaction():
        confirm_payin(get_order(customer.order.id, lock=True), None, actor=as_trader(trader))
    assert customer.now().status == "completed"


def test_a_running_payout_is_accepted_proved_and_confirmed(
    scene: Scene, trader: Trader, requisite: Requisite
) -> None:
    scene.fund_store()
    payout = scene.payout()
    begin()
    with transaction():
        order = accept_payout(trader.id, payout.id, actor=as_trader(trader))
        add_receipt(order, upload(), ReceiptKind.PAYOUT_PROOF, actor=as_trader(trader))
        order = claim_payout(order, actor=as_trader(trader))
        confirm_payout(order, actor=scene.merchant)
    assert get_order(payout.id).status == "completed"
    with pytest.raises(InMaintenance):
        scene.payout()


def test_a_customer_who_would_begin_reads_that_we_are_back_soon(undecided: Customer) -> None:
    assert undecided.get().status_code == 200
    begin()
    for answer in (undecided.get(), undecided.post("/method", {"method": "card"})):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "120")
        assert "We are back in a few minutes" in answer.text
        assert f'href="/pay/{undecided.token}"' in answer.text
    assert undecided.post("/method", {"method": "card"}, csrf=False).status_code == 503
    assert (undecided.now().status, undecided.now().method) == ("matching", None)
    assert undecided.post("/cancellation").status_code == 303
    assert undecided.now().status == "cancelled"


def test_the_page_is_whole_again_afterwards(undecided: Customer) -> None:
    begin()
    end()
    assert undecided.post("/method", {"method": "card"}).status_code == 303
    assert undecided.now().status == "awaiting_payment"


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.output))


def test_the_command_switches_counts_what_runs_and_leaves_its_traces(
    app: Flask, customer: Customer, undecided: Customer
) -> None:
    assert told(flask(app, "status", "--json"))["maintenance"] is False
    on = told(flask(app, "on", "--retry-after", "60", "--reason", "new disks", "--json"))
    assert (on["maintenance"], on["retry_after_s"]) == (True, 60)
    assert on["running_by_status"] == {"awaiting_payment": 1, "matching": 1}
    forget_all()
    assert "On: new orders are refused, with Retry-After 60 s." in flask(app, "status").output
    assert "2 orders are running: 1 awaiting payment, 1 matching." in flask(app, "on").output
    assert told(flask(app, "off", "--json"))["maintenance"] is False
    assert flask(app, "off").output.startswith("Off: new orders are taken.")
    rows = hot("SELECT action, reason FROM audit_entry WHERE action LIKE 'maintenance.%%' ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [
        ("maintenance.begun", "new disks"),
        ("maintenance.ended", None),
    ]


def test_an_impossible_retry_after_is_refused(app: Flask) -> None:
    result = flask(app, "on", "--retry-after", "0")
    assert (result.exit_code, "at least 1" in result.output) == (1, True)
    assert told(flask(app, "status", "--json"))["maintenance"] is False
