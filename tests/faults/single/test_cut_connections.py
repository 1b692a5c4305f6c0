"""The way to PostgreSQL is cut in the middle of something, or swallows it."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.test import TestResponse

from portal.core.db import db, hot, transaction
from portal.orders.models import Status
from tests.faults.proxy import Moment
from tests.faults.single.conftest import WITHIN_S, Site
from tests.web.desk import path_of

CREATE, CONFIRM, COMMIT = b"FROM place_order(", b"WITH moved AS", b"COMMIT"


def settled(call: Callable[[], TestResponse]) -> TestResponse:
    """The answer to a call that is repeated while the first one is still at work, as its 409 asks."""
    for _ in range(50):
        answer = call()
        if answer.status_code != 409 or (answer.json or {}).get("code") != "idempotency_in_progress":
            break
        time.sleep(0.05)
    return answer


def refused(answer: TestResponse) -> None:
    """Unknown to us, so an honest 503 that may be repeated."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.proves("F12")
@pytest.mark.parametrize("moment", Moment)
def test_an_order_whose_commit_was_cut_is_made_once(site: Site, moment: Moment) -> None:
    key = uuid.uuid4().hex
    site.forget_connections()
    site.proxy.cut(CREATE, moment)
    refused(site.shop.create(idem=key))
    assert site.proxy.cuts == 1
    again = settled(lambda: site.shop.create(idem=key))
    assert again.status_code == 201, again.json
    assert [order["id"] for order in site.orders()] == [(again.json or {})["id"]]
    assert (
        site.desk.balances()[1]
        == site.sql("SELECT hold_minor FROM orders WHERE store_id = %s", site.shop.store_id)[0][0]
    )
    third = site.shop.create(idem=key)
    assert (third.status_code, third.json) == (201, again.json)


@pytest.mark.proves("F12")
def test_what_was_committed_is_seen_though_nobody_was_told(site: Site) -> None:
    site.forget_connections()
    site.proxy.cut(CREATE, Moment.ANSWERED)
    refused(site.shop.create(external_id="cut"))
    (order,) = site.orders()
    assert order["external_id"] == "cut"
    second = site.shop.create(external_id="cut")
    assert (second.status_code, (second.json or {})["code"]) == (409, "duplicate_external_id")


@pytest.mark.proves("F12")
@pytest.mark.parametrize("moment", Moment)
def test_a_payin_whose_confirmation_was_cut_is_paid_out_once(site: Site, moment: Moment) -> None:
    order = site.desk.payin(claimed=True)
    before = site.desk.balances()
    site.desk.browser.get("/trader/queue")
    site.forget_connections()
    site.proxy.cut(CONFIRM, moment)
    refused(site.desk.browser.post(path_of(order, "confirmation")))
    assert site.proxy.cuts == 1
    for _ in range(2):
        assert site.desk.browser.post(path_of(order, "confirmation")).status_code == 200
    assert site.desk.now(order).status == Status.COMPLETED
    assert site.desk.balances()[2] == before[2] + order.amount_minor
    assert site.desk.count_steps(order) == 4
    assert set(site.desk.ledger_sum(order).values()) == {0}


@pytest.mark.proves("F12")
@pytest.mark.parametrize("moment", Moment)
def test_a_cancellation_whose_commit_was_cut_is_done_once(site: Site, moment: Moment) -> None:
    order, key = site.shop.create().json or {}, uuid.uuid4().hex
    site.proxy.cut(COMMIT, moment)
    refused(site.shop.post(f"/api/v1/orders/{order['id']}/cancel", {}, idem=key))
    assert site.proxy.cuts == 1
    again = settled(lambda: site.shop.post(f"/api/v1/orders/{order['id']}/cancel", {}, idem=key))
    assert again.status_code == 200, again.json
    assert site.desk.balances()[1] == 0
    assert [one["status"] for one in site.orders()] == ["cancelled"]


@pytest.mark.proves("F13")
@pytest.mark.faults
def test_a_black_hole_costs_a_request_some_seconds_and_its_locks_are_freed(site: Site) -> None:
    order, key = site.shop.create().json or {}, uuid.uuid4().hex
    path = f"/api/v1/orders/{order['id']}/cancel"
    # As if the way were lost with a row locked: the statement that locks it arrives, and nothing after it.
    holder = ThreadPoolExecutor(1).submit(_hold, site)
    while not holder.running():
        time.sleep(0.01)
    _wait_for_lock(site)
    site.proxy.swallow()
    started = time.monotonic()
    refused(site.shop.post(path, {}, idem=key))
    refused(site.shop.create())
    assert time.monotonic() - started < 2 * WITHIN_S
    with pytest.raises(Exception, match=r"did not answer|terminating"):
        holder.result(WITHIN_S)
    with site.connection() as direct:
        direct.execute("SET lock_timeout = '4s'")
        direct.execute("SELECT 1 FROM orders WHERE store_id = %s FOR UPDATE", [site.shop.store_id])
    site.proxy.mend()
    again = site.shop.post(path, {}, idem=key)
    assert again.status_code == 200, again.json
    assert [one["status"] for one in site.orders()] == ["cancelled"]


def _hold(site: Site) -> None:
    with site.app.app_context(), transaction():
        hot("SELECT 1 FROM orders WHERE store_id = %(id)s FOR UPDATE", {"id": site.shop.store_id})
        time.sleep(1.0)
        hot("SELECT 1 AS one")


def _wait_for_lock(site: Site) -> None:
    with site.connection() as direct:
        for _ in range(200):
            free = direct.execute(
                "SELECT 1 FROM orders WHERE store_id = %s FOR UPDATE SKIP LOCKED", [site.shop.store_id]
            ).fetchall()
            if not free:
                return
            time.sleep(0.01)
    raise AssertionError("nobody took the lock")


@pytest.mark.proves("F13")
def test_a_host_that_is_gone_is_noticed_by_both_ends(site: Site) -> None:
    with site.app.app_context(), db.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=socket.dup(driver.fileno())) as ours:
            options = {name: ours.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in
                       ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")}  # fmt: skip
        assert options == {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 3500}
        shown = [
            connection.exec_driver_sql(f"SELECT setting FROM pg_settings WHERE name = '{name}'").scalar_one()
            for name in ("client_connection_check_interval", "idle_in_transaction_session_timeout")
        ]
    assert shown == ["2000", "2000"]
