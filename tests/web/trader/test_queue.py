"""The page, its live part, the switch and what it says, and receipts."""

from __future__ import annotations

import re
import uuid

import pytest

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.core.ids import public_id
from portal.identity.models import Role
from portal.ledger.models import AccountKind
from portal.matching.readiness import ReasonCode, why_no_orders
from portal.orders import queries
from portal.orders.models import ReceiptKind, Status
from portal.orders.queries import get_order, list_queue_for_trader
from portal.orders.receipts import add_receipt
from portal.orders.service.claim import claim_payout
from portal.traders.requisites import switch_own
from portal.traders.service import block_trader, set_lead_switches, set_working
from tests.scene import USDT, as_trader
from tests.web.desk import HTMX, Browser, Desk, new_user, open_desk, picture, upload

ZONE = "Europe/Moscow"


def codes(desk: Desk) -> list[ReasonCode]:
    with transaction():
        return [reason.code for reason in why_no_orders(desk.trader.id, ZONE)]


def test_the_queue_shows_who_paid_without_full_numbers(desk: Desk) -> None:
    desk.payin(1500_00, claimed=True)
    page = desk.browser.get("/trader/queue").text
    assert "IVAN I." in page
    assert desk.requisite.number_last4 in page
    assert re.search(r"\b\d{16}\b", page) is None


@pytest.mark.proves("tried U8")
def test_what_waits_for_the_trader_comes_first_and_the_least_time_left_first_among_it(desk: Desk) -> None:
    waiting = [desk.payin(amount) for amount in (700_00, 701_00)]
    later, sooner = (desk.payin(amount, claimed=True) for amount in (1500_00, 1501_00))
    accepted = desk.payout(3000_00, accepted=True)
    paid = desk.payout(3100_00, accepted=True)
    with transaction():
        proof = upload(5)
        add_receipt(
            get_order(paid.id, lock=True), proof, ReceiptKind.PAYOUT_PROOF, actor=as_trader(desk.trader)
        )
        claim_payout(get_order(paid.id, lock=True), actor=as_trader(desk.trader))
        for order, minutes in ((later, 40), (sooner, 35), (waiting[0], 2), (waiting[1], 1), (accepted, 50)):
            hot(
                "UPDATE orders SET due_at = now() + %(minutes)s * interval '1 minute' WHERE id = %(id)s",
                {"id": order.id, "minutes": minutes},
            )
        rows = [order.id for order in list_queue_for_trader(desk.trader.id)]
        cut = [order.id for order in list_queue_for_trader(desk.trader.id, limit=3)]
    mine, others = [sooner.id, later.id, accepted.id], [waiting[1].id, waiting[0].id, paid.id]
    assert rows == mine + others
    assert cut == mine
    page = desk.browser.get("/trader/queue").text
    cards = [page.index(f'id="order-{order.id}"') for order in (sooner, later, *reversed(waiting), accepted)]
    assert cards == sorted(cards)


@pytest.mark.proves("tried U8")
def test_the_queue_is_read_along_the_index_of_open_orders(desk: Desk) -> None:
    desk.payin()
    with transaction():
        hot("SET LOCAL enable_seqscan = off")
        rows = hot(f"EXPLAIN {queries._QUEUE}", {"trader_id": desk.trader.id, "limit": 200})
    plan = "\n".join(row["QUERY PLAN"] for row in rows)
    assert "ix_orders_open_trader" in plan, plan


def test_the_live_part_is_the_same_as_the_pages_and_304_while_nothing_changes(desk: Desk) -> None:
    order = desk.payin()
    first = desk.browser.get("/trader/queue/cards", headers=HTMX)
    assert first.status_code == 200
    assert "<html" not in first.text
    mark = {"If-None-Match": first.headers["ETag"]} | HTMX
    assert desk.browser.get("/trader/queue/cards", headers=mark).status_code == 304
    desk.claim(order)
    changed = desk.browser.get("/trader/queue/cards", headers=mark)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_a_strangers_orders_are_not_in_my_queue(desk: Desk, stranger: Desk) -> None:
    order = stranger.payin(claimed=True)
    assert str(order.id) not in desk.browser.get("/trader/queue").text


def test_the_switch_moves_the_trader_and_what_matching_reads(desk: Desk) -> None:
    for word, is_on in (("off", False), ("off", False), ("on", True)):
        assert desk.browser.post("/trader/working", {"working": word}).status_code == 200
        with transaction():
            row = hot(
                "SELECT t.is_working, r.can_take_payin FROM trader t JOIN requisite r ON r.trader_id = t.id"
                " WHERE t.id = %(id)s",
                {"id": desk.trader.id},
            )[0]
        assert (row["is_working"], row["can_take_payin"]) == (is_on, is_on)
    assert desk.browser.post("/trader/working", {"working": "off"}, htmx=False).status_code == 303
    assert "You have switched yourself off." in desk.browser.get("/trader/queue").text


def test_the_switch_knows_on_and_off_only(desk: Desk) -> None:
    assert desk.browser.post("/trader/working", {"working": "maybe"}).status_code == 400


def test_only_traders_switch(desk: Desk, browser: Browser) -> None:
    browser.sign_in(new_user(Role.LEAD).email)
    assert browser.post("/trader/working", {"working": "off"}).status_code == 403


def test_a_trader_who_gets_orders_is_told_no_reason(desk: Desk) -> None:
    assert codes(desk) == []
    assert "Orders can come" in desk.browser.get("/trader/queue").text


def test_each_reason_is_found_where_it_lies(desk: Desk) -> None:
    trader = desk.trader.id
    with transaction():
        set_working(trader, False)
        set_lead_switches(trader, payin_on=False, payout_on=False)
        block_trader(trader, "papers ran out")
    assert codes(desk) == [ReasonCode.BLOCKED, ReasonCode.LEAD_SWITCHED_OFF, ReasonCode.SWITCHED_OFF]
    assert "papers ran out" in desk.browser.get("/trader/queue").text
    with transaction():
        switch_own(desk.trader.id, desk.requisite.id, actor=SYSTEM, payin_on=False, payout_on=False)
    assert codes(desk)[-1] == ReasonCode.REQUISITE_OFF
    with transaction():
        hot("UPDATE requisite SET status = 'pending' WHERE id = %(id)s", {"id": desk.requisite.id})
        hot("UPDATE trader SET status = 'pending' WHERE id = %(id)s", {"id": trader})
    assert codes(desk)[0] == ReasonCode.NOT_VERIFIED
    assert codes(desk)[-1] == ReasonCode.REQUISITE_NOT_APPROVED


def test_a_deposit_that_is_too_low_says_by_how_much(desk: Desk) -> None:
    with transaction():
        available = desk.scene.trader_balance(desk.trader, AccountKind.AVAILABLE)
        least = (available // USDT + 20) * 95_00
        hot(
            "UPDATE requisite SET min_amount = %(least)s, max_amount = %(least)s WHERE id = %(id)s",
            {"least": least, "id": desk.requisite.id},
        )
        reasons = why_no_orders(desk.trader.id, ZONE)
    assert [(reason.code, reason.short_minor) for reason in reasons] == [
        (ReasonCode.DEPOSIT_TOO_LOW, 20 * USDT)
    ]
    assert "20.00" in desk.browser.get("/trader/queue").text


def test_used_up_limits_are_a_reason_until_a_new_day(in_context: object, desk: Desk) -> None:
    with transaction():
        hot("UPDATE requisite SET day_count_limit = 1 WHERE id = %(id)s", {"id": desk.requisite.id})
    desk.payin()
    assert codes(desk) == [ReasonCode.LIMITS_USED_UP]
    with transaction():
        hot("UPDATE requisite SET day = day - 1 WHERE id = %(id)s", {"id": desk.requisite.id})
    assert codes(desk) == []


def test_as_many_open_orders_as_may_be_is_a_reason(in_context: object) -> None:
    desk = open_desk(in_context, max_open_orders=1)  # type: ignore[arg-type]
    desk.payin()
    assert codes(desk) == [ReasonCode.OPEN_ORDERS_FULL]


def test_a_receipt_is_for_the_orders_trader_only(desk: Desk, stranger: Desk, browser: Browser) -> None:
    order = desk.payin(claimed=True)
    receipt = desk.receipt(order)
    path = f"/trader/orders/{public_id('ord', order.id)}/receipts/{public_id('rcp', receipt.id)}"
    mine = desk.browser.get(path)
    assert mine.status_code == 200
    assert mine.data != picture()  # re-encoded
    assert "sandbox" in mine.headers["Content-Security-Policy"]
    assert stranger.browser.get(path).status_code == 404
    other = desk.payin(800_00)
    assert (
        desk.browser.get(path.replace(public_id("ord", order.id), public_id("ord", other.id))).status_code
        == 404
    )
    assert browser.get(path).status_code == 303
    browser.sign_in(new_user(Role.MERCHANT).email)
    assert browser.get(path).status_code == 403


def test_the_same_receipt_with_another_order_is_pointed_out(desk: Desk) -> None:
    orders = desk.payin(1500_00, claimed=True), desk.payin(700_00, claimed=True)
    seed = uuid.uuid4().int % 1000
    desk.receipt(orders[0], seed)
    desk.receipt(orders[1], seed)
    assert desk.browser.get("/trader/queue").text.count("A receipt like this") == 2


def test_finished_orders_come_in_pages_of_twenty(desk: Desk) -> None:
    orders = [desk.payin(1000_00 + number, claimed=True) for number in range(21)]
    for order in orders:
        desk.browser.post(f"/trader/payins/{public_id('ord', order.id)}/confirmation", htmx=False)
    page = desk.browser.get("/trader/queue").text
    newest, oldest = public_id("ord", orders[-1].id), public_id("ord", orders[0].id)
    assert newest in page
    assert oldest not in page
    older = re.search(r'href="(/trader/queue\?after=ord_[0-9a-z]+)"', page)
    assert older is not None
    for path in (older[1], older[1].replace("after=", "before=")):
        second = desk.browser.get(path).text
        assert oldest in second, path
        assert newest not in second, path
        assert f'hx-get="/trader/queue/cards?{older[1].partition("?")[2]}"' in second, path


@pytest.mark.parametrize("path", ["/trader/queue", "/trader/queue/cards", "/streams/trader"])
def test_only_traders_come_in(desk: Desk, browser: Browser, path: str) -> None:
    assert browser.get(path).status_code == 303
    browser.sign_in(new_user(Role.MERCHANT).email)
    assert browser.get(path).status_code == 403


def test_the_page_tells_a_trader_of_disputes(desk: Desk) -> None:
    order = desk.payin(claimed=True)
    desk.browser.post(f"/trader/payins/{public_id('ord', order.id)}/decline", {"reason": "not_received"})
    assert desk.now(order).status == Status.DISPUTED
    assert 'id="disputed"' in desk.browser.get("/trader/queue").text
