"""The payment page in a real browser, on a small phone: by hand, without JavaScript, in both languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect

from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.db import transaction
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.orders.service import cancel_order, claim_payin, confirm_payin
from tests.browser.looking import complaints_of, problems
from tests.web.pay.customer import Customer, make_scene, picture

PHONE = {"width": 320, "height": 640}


@dataclass
class Stand:
    """A shop's customer with a phone, and a server of our own."""

    app: Flask
    address: str
    browser: Browser
    new_order: Callable[..., Customer]

    def phone(self, **options: Any) -> BrowserContext:
        return self.browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, **options)  # type: ignore[arg-type]

    def url(self, customer: Customer, query: str = "") -> str:
        return f"{self.address}/pay/{customer.token}{query}"


@pytest.fixture
def stand(committed_db: Flask, chromium: Browser, site: str) -> Stand:
    scene = make_scene()
    scene.requisite(scene.trader())

    def new_order(amount_minor: int = 1500_00, **values: Any) -> Customer:
        order = scene.payin(amount_minor, return_url="https://shop.example/back?order=1", **values)
        return Customer(committed_db.test_client(), order)

    return Stand(committed_db, site, chromium, new_order)


def assert_fits(page: Page) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} px wider than the screen"


@pytest.mark.parametrize(("language", "money"), [("en", "RUB\u00a01,500.00"), ("ru", "1\u00a0500,00\u00a0₽")])
def test_a_payin_by_hand_on_a_small_phone(stand: Stand, tmp_path: Path, language: str, money: str) -> None:
    customer = stand.new_order(method=None, locale=language)
    page = stand.phone(permissions=["clipboard-read", "clipboard-write"]).new_page()
    complaints = complaints_of(page)
    page.goto(stand.url(customer))
    assert page.evaluate("document.documentElement.lang") == language
    page.locator("a.choice").first.tap()
    page.locator("button[value=sber]").tap()

    expect(page.locator("h1 .amount")).to_have_text(money)
    assert_fits(page)
    copy = page.locator("dd.digits button[data-copy]")
    number = copy.get_attribute("data-copy")
    copy.tap()
    expect(copy).to_have_class("copy said")
    assert page.evaluate("navigator.clipboard.readText()") == number
    assert page.locator("dd.digits .whole").inner_text().replace("\n", "") == number

    page.locator("summary").tap()
    proof = tmp_path / "proof.png"
    proof.write_bytes(picture())
    page.locator("#f-receipt").set_input_files(str(proof))
    page.locator("#f-name").fill("Ivan P.")
    page.locator("form[action*='/claim'] button.button").tap()
    expect(page.locator("main")).to_have_attribute("data-screen", "checking")
    assert customer.now().status == "awaiting_confirmation"
    assert len(customer.receipts()) == 1

    customer.drive(confirm_payin, None, actor=SYSTEM)
    expect(page.locator("main")).to_have_attribute("data-screen", "done", timeout=15_000)
    expect(page.locator("[data-return]")).to_have_attribute("href", "https://shop.example/back?order=1")
    page.locator("[data-stay]").tap()
    expect(page.locator("[data-leaving]")).to_be_hidden()
    assert_fits(page)
    assert complaints == []


def test_the_whole_way_without_javascript(stand: Stand, tmp_path: Path) -> None:
    customer = stand.new_order(1600_00, method=None, locale="en")
    page = stand.phone(java_script_enabled=False).new_page()
    page.goto(stand.url(customer))
    page.locator("a.choice").first.click()
    page.locator("button[value=sber]").click()
    assert page.locator("[data-copy]:visible").count() == 0  # no dead button
    page.locator("summary").click()
    page.locator("#f-last4").fill("12")
    page.locator("#f-name").fill("Ivan P.")
    page.locator("form[action*='/claim'] button.button").click()
    expect(page.locator("#e-last4")).to_contain_text("four digits")
    expect(page.locator("#f-name")).to_have_value("Ivan P.")
    page.locator("#f-last4").fill("1234")
    page.locator("form[action*='/claim'] button.button").click()
    expect(page.locator("h1")).to_contain_text("being checked")
    assert "http-equiv" in page.content()
    customer.drive(confirm_payin, None, actor=SYSTEM)
    page.reload()
    expect(page.locator("h1")).to_have_text("Paid")


def test_a_half_typed_form_is_not_lost_when_the_state_changes(stand: Stand) -> None:
    customer = stand.new_order(1700_00, locale="en")
    page = stand.phone().new_page()
    page.goto(stand.url(customer))
    page.locator("summary").tap()
    page.locator("#f-name").fill("Ivan")
    customer.drive(confirm_payin, None, actor=SYSTEM)
    expect(page.locator("[data-changed]")).to_be_visible(timeout=15_000)
    expect(page.locator("#f-name")).to_have_value("Ivan")
    expect(page.locator("#f-name")).to_be_focused()
    page.locator("[data-changed] a").tap()
    expect(page.locator("h1")).to_have_text("Paid")


def test_the_countdown_follows_the_server_and_is_said_by_the_minute(stand: Stand) -> None:
    customer = stand.new_order(1800_00, locale="en")
    page = stand.phone().new_page()
    page.clock.install(time=0)  # the phone believes it is 1970
    page.goto(stand.url(customer))
    expect(page.locator("[data-clock-text]")).to_contain_text("14:5")
    expect(page.locator("[data-clock-said]")).to_be_empty()
    page.clock.run_for(62_000)
    expect(page.locator("[data-clock-text]")).to_contain_text("13:5")
    expect(page.locator("[data-clock-said]")).to_have_text("Time left: 14 minutes")


def states(stand: Stand) -> dict[str, str]:
    """One order in each state a customer can meet, by address."""
    amounts = iter(range(2000_00, 3000_00, 100))

    def made(verb: Any = None, *args: Any, **options: Any) -> Customer:
        customer = stand.new_order(next(amounts), locale="en")
        if verb is not None:
            customer.drive(verb, *args, **options)
        return customer

    expired = made()
    expired.run_out()
    pay, claimed = made(), made(claim_payin, None, actor=CUSTOMER)
    looking = stand.new_order(10_00, locale="en")
    failed = stand.new_order(11_00, locale="en")
    failed.run_out()
    undecided = stand.new_order(next(amounts), method=None, locale="en")
    customers = {
        "pay": pay, "checking": claimed, "expired": expired, "looking": looking, "failed": failed,
        "done": made(confirm_payin, None, actor=SYSTEM), "choose": undecided,
        "agree": made(confirm_payin, 1000_00, actor=SYSTEM),
        "cancelled": made(cancel_order, None, actor=CUSTOMER),
        "disputed": made(open_dispute, DisputeReason.OTHER, None, None, actor=CUSTOMER),
    }  # fmt: skip
    found = {name: stand.url(customer) for name, customer in customers.items()}
    found |= {
        f"problem{path}": stand.url(pay, f"/problem{path}")
        for path in ("", "/not_paid", "/other_amount", "/wrong_requisite")
    }
    found["problem/paid_late"] = stand.url(expired, "/problem/paid_late")
    found["problem/not_confirmed"] = stand.url(claimed, "/problem/not_confirmed")
    found["banks"] = stand.url(undecided, "?method=card")
    found["unknown"] = f"{stand.address}/pay/{'z' * 26}"
    with transaction():
        assert failed.now().status == "failed"
    return found


def test_axe_finds_nothing_on_any_screen(stand: Stand) -> None:
    page = stand.phone(reduced_motion="reduce").new_page()
    found = {}
    for name, address in states(stand).items():
        page.goto(address)
        for summary in page.locator("summary").all():
            summary.click()
        if there := problems(page, (320, "light"), (320, "dark")):
            found[name] = there
    assert found == {}
