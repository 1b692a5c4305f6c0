"""An order's page in each portal: what its people see, what they do not, and what it costs."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.db import hot, transaction
from portal.core.ids import public_id
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.identity.models import MemberRole, Role
from portal.merchants.queries import stores
from portal.merchants.service import set_traffic_rule
from portal.orders.queries import get_order, recipient_number_of
from portal.orders.record import OrderRecord
from portal.orders.service import agree_to_amount, cancel_order, confirm_payin, decline_payin
from portal.traders.queries import requisite_number, traders
from tests.scene import as_trader
from tests.web.desk import Browser, Desk, open_desk
from tests.web.test_homes import MOST_QUERIES, complete, counted, lead_of, person

HOMES = ("trader", "merchant", "lead", "support", "admin")


@pytest.fixture
def tara(in_context: Flask) -> Desk:
    """A trader whose name and holder are like nobody else's."""
    desk = open_desk(in_context)
    with transaction():
        hot("UPDATE trader SET name = 'Tarantina' WHERE id = %(id)s", {"id": desk.trader.id})
        hot("UPDATE requisite SET holder = 'TARANTINA P.' WHERE id = %(id)s", {"id": desk.requisite.id})
    traders.forget()
    return desk


def everybody(desk: Desk) -> dict[str, Browser]:
    return {
        "trader": desk.browser,
        "merchant": person(desk, Role.MERCHANT, member=MemberRole.VIEWER),
        "lead": lead_of(desk),
        "support": person(desk, Role.SUPPORT),
        "admin": person(desk, Role.ADMIN),
    }


def page_of(order: OrderRecord, home: str) -> str:
    return f"/{home}/orders/{public_id('ord', order.id)}"


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).replace("\u00a0", " ").replace("&nbsp;", " ").split())


@pytest.mark.proves("ASVS 38")
def test_each_role_sees_its_part_of_the_order_and_nobody_the_whole_number(tara: Desk) -> None:
    order = tara.scene.payin(1500_00, external_id="basket-77")
    tara.receipt(order)
    tara.claim(order)
    with transaction():
        number = requisite_number(tara.requisite.id)
    pages = {home: browser.get(page_of(order, home)) for home, browser in everybody(tara).items()}
    for home, answer in pages.items():
        assert answer.status_code == 200, home
        assert public_id("ord", order.id) in answer.text
        compact = re.sub(r"[\s\u00a0]", "", answer.text)
        assert number not in compact, home
        assert number[-4:] in answer.text, home
        assert "IVAN I." in answer.text, home
        assert "Said to be paid" in answer.text, home
    sees = {
        "Tarantina": {"lead", "support", "admin"},
        "TARANTINA P.": {"trader", "lead", "support", "admin"},
        "basket-77": {"merchant", "support", "admin"},
        "Fee of the store": {"merchant", "support", "admin"},
        "Commission of the trader": {"trader", "lead", "admin"},
        "Commission of the team lead": {"lead", "admin"},
        "Left for the platform": {"admin"},
        "How it was matched": {"support", "admin"},
        "The trader&#39;s deposit was held": {"admin"},
    }
    for canary, expected in sees.items():
        assert {home for home, answer in pages.items() if canary in answer.text} == expected, canary


@pytest.mark.proves("tried S3")
def test_nobody_is_told_to_confirm_what_the_customer_is_asked_about(tara: Desk) -> None:
    """Reported by the receiver is neither confirmed nor agreed to, and the customer's time ends on another day."""
    order = tara.payin(1500_00, claimed=True)
    with transaction():
        confirm_payin(get_order(order.id, lock=True), 900_00, actor=as_trader(tara.trader))
    people = everybody(tara)
    for home, browser in people.items():
        lists = "/trader/queue" if home == "trader" else f"/{home}/orders"
        for path in (page_of(order, home), lists):
            page = browser.get(path).text
            assert '<span class="pill pill-azure">Amount to be agreed</span>' in page, path
            assert '<span class="pill pill-orange">To be confirmed</span>' not in page, path
        shown = words(browser.get(page_of(order, home)).text)
        assert "Reported by the receiver, not agreed to yet 900.00 RUB" in shown, home
        assert re.search(r"Amount to be agreed until \d+ \w+, \d\d:\d\d created", shown), home
        if home != "trader":
            export = browser.get(f"/{home}/orders.csv").text
            assert "Amount to be agreed" in export, home
    with transaction():
        agree_to_amount(get_order(order.id, lock=True), 900_00, actor=CUSTOMER)
    for home, browser in people.items():
        shown = words(browser.get(page_of(order, home)).text)
        assert "Amount 1,500.00 RUB Received 900.00 RUB" in shown, home
        assert "to be agreed" not in shown, home
        assert "Reported by the receiver" not in shown, home


@pytest.mark.proves("tried S3")
def test_the_amount_of_a_case_is_told_as_the_word_of_who_gave_it(tara: Desk) -> None:
    """Who disagrees with what the receiver reported has not said that they sent it."""
    disagreed, stated, came = (tara.payin(1500_00 + number, claimed=True) for number in (1, 2, 3))
    other, trader = DisputeReason.PAID_ANOTHER_AMOUNT, as_trader(tara.trader)
    with transaction():
        confirm_payin(get_order(disagreed.id, lock=True), 1234_00, actor=trader)
        open_dispute(get_order(disagreed.id, lock=True), other, None, 1234_00, actor=CUSTOMER)
        open_dispute(get_order(stated.id, lock=True), other, None, 800_00, actor=CUSTOMER)
        open_dispute(get_order(came.id, lock=True), other, None, 700_00, actor=trader)
    told = (
        (disagreed, "Came, as the receiver reported 1,234.00 RUB"),
        (stated, "Sent, as the customer says 800.00 RUB"),
        (came, "Came, as the trader says 700.00 RUB"),
    )
    for home, browser in everybody(tara).items():
        for order, expected in told:
            assert expected in words(browser.get(page_of(order, home)).text), (home, expected)
        shown = words(browser.get(page_of(disagreed, home)).text)
        assert re.search(r"the customer is asked Trader\b[^:]*: 1,234.00 RUB", shown), home


def test_what_the_trader_types_is_not_for_the_shop(tara: Desk) -> None:
    order = tara.payin(1500_00, claimed=True)
    with transaction():
        open_dispute(
            get_order(order.id, lock=True), DisputeReason.FAKE_RECEIPT, "My bank is Canary", None,
            actor=as_trader(tara.trader),
        )  # fmt: skip
    for home, browser in everybody(tara).items():
        page = browser.get(page_of(order, home)).text
        assert "The receipt is not genuine" in page, home
        assert ("My bank is Canary" in page) == (home != "merchant"), home


def test_a_trader_who_had_it_before_is_nobody_to_the_next_one_and_to_their_lead(
    tara: Desk, stranger: Desk
) -> None:
    with transaction():
        set_traffic_rule(tara.scene.store_id, stranger.trader.id, "pin", actor=SYSTEM)
        hot("UPDATE trader SET name = 'Omarion' WHERE id = %(id)s", {"id": stranger.trader.id})
    traders.forget()
    stores.forget()
    order = tara.payin(1500_00)
    first, second = (tara, stranger) if order.trader_id == tara.trader.id else (stranger, tara)
    names = {tara.trader.id: "Tarantina", stranger.trader.id: "Omarion"}
    with transaction():
        decline_payin(
            get_order(order.id, lock=True), "other: the Canary is ill", actor=as_trader(first.trader)
        )  # fmt: skip
    assert tara.now(order).trader_id == second.trader.id
    assert second.browser.get(page_of(order, "trader")).status_code == 200
    assert first.browser.get(page_of(order, "trader")).status_code == 404
    for home, browser in {"trader": second.browser, "lead": lead_of(second)}.items():
        page = browser.get(page_of(order, home)).text
        assert "Taken off its requisite" in page, home
        assert names[first.trader.id] not in page, home
        assert "Canary" not in page, home
    page = person(tara, Role.SUPPORT).get(page_of(order, "support")).text
    assert names[first.trader.id] in page
    assert "Canary" in page


def test_a_payout_and_what_ended_have_their_pages_too(tara: Desk) -> None:
    offered, accepted, expired = (
        tara.payout(2000_00),
        tara.payout(3000_00, accepted=True),
        tara.expired(900_00),
    )
    with transaction():
        number = recipient_number_of(get_order(accepted.id))
    assert number
    for home, browser in everybody(tara).items():
        for order in (offered, accepted, expired):
            answer = browser.get(page_of(order, home))
            is_theirs = home not in {"trader", "lead"} or order is not offered
            assert answer.status_code == (200 if is_theirs else 404), (home, order.status)
            assert number not in re.sub(r"[\s\u00a0]", "", answer.text), home
        page = browser.get(page_of(accepted, home)).text
        assert number[-4:] in page, home
        assert ("On hold now" in page) == (home in {"merchant", "support", "admin"}), home
        assert ("Would be charged to the store" in page) == (home in {"merchant", "support", "admin"}), home


def test_nobody_gets_a_part_of_what_was_cancelled(tara: Desk) -> None:
    order = tara.payin(1500_00)
    with transaction():
        cancel_order(get_order(order.id, lock=True), "Changed their mind", actor=tara.scene.support)
    for home, browser in everybody(tara).items():
        page = browser.get(page_of(order, home)).text
        assert "Fee of the store" not in page, home
        assert "Commission" not in page, home
        assert "Changed their mind" in page, home


def test_a_strangers_order_is_not_there_in_any_portal_of_limited_reach(tara: Desk, stranger: Desk) -> None:
    order = tara.payin(1500_00, claimed=True)
    receipt = public_id("rcp", tara.receipt(order).id)
    others = everybody(stranger)
    for home in ("trader", "merchant", "lead"):
        assert others[home].get(page_of(order, home)).status_code == 404, home
        assert others[home].get(f"{page_of(order, home)}/receipts/{receipt}").status_code == 404, home
    for home, browser in everybody(tara).items():
        assert browser.get(f"{page_of(order, home)}/receipts/{receipt}").status_code == 200, home


def test_an_order_page_takes_at_most_six_statements(tara: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    order = tara.payin(1500_00, claimed=True)
    tara.receipt(order)
    complete(tara, order)
    for home, browser in everybody(tara).items():
        browser.get(page_of(order, home))
        with counted(monkeypatch) as statements:
            assert browser.get(page_of(order, home)).status_code == 200
        assert len(statements) <= MOST_QUERIES, (home, statements)


def test_who_may_hold_the_shops_keys_sees_the_object_of_the_api(tara: Desk) -> None:
    order = tara.payin(1500_00)
    viewer = person(tara, Role.MERCHANT, member=MemberRole.VIEWER).get(page_of(order, "merchant")).text
    owner = person(tara, Role.MERCHANT, member=MemberRole.OWNER).get(page_of(order, "merchant")).text
    assert "&#34;rate_source&#34;" in owner
    assert "&#34;rate_source&#34;" not in viewer


def test_lists_lead_to_the_page(tara: Desk) -> None:
    order = tara.payin(1500_00)
    people = everybody(tara)
    for home in ("merchant", "lead", "support", "admin"):
        for path in (f"/{home}", f"/{home}/orders"):
            assert f'href="{page_of(order, home)}"' in people[home].get(path).text, path
    assert f'href="{page_of(order, "trader")}"' in people["trader"].get("/trader/queue").text
