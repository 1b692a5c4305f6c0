"""The trader's queue in a real browser: live cards, the keys, half-typed forms, no script, axe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from portal.orders.models import Status
from portal.workers import streams
from tests.browser import looking
from tests.browser.looking import complaints_of, problems
from tests.web.desk import Desk, picture


def sign_in(chromium: Browser, site: str, desk: Desk, **options: Any) -> Page:
    return looking.sign_in(chromium, site, desk.user, "/trader/queue", **options)


def card(order: Any) -> str:
    return f"#order-{order.id}"


def test_a_new_card_appears_by_itself_and_one_key_confirms_it(
    chromium: Browser, site: str, tara: Desk
) -> None:
    page = sign_in(chromium, site, tara)
    complaints = complaints_of(page)
    expect(page.locator("#payins-empty")).to_be_visible()
    order = tara.payin(claimed=True)
    expect(page.locator(card(order))).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    page.wait_for_timeout(1600)  # a card that has just come first is shown before a key takes it
    page.keyboard.press("c")
    expect(page.locator("#notice")).to_contain_text("Confirmed: 1,500.00 RUB.")
    expect(page.locator(card(order))).to_have_count(0)
    assert tara.now(order).status == Status.COMPLETED
    expect(page).not_to_have_title(re.compile(r"^\("))
    assert complaints == []


@pytest.mark.proves("tried S2")
@pytest.mark.parametrize("streams_are", ["full", "away"])
def test_without_a_stream_the_queue_looks_by_itself_and_says_so(
    chromium: Browser, site: str, tara: Desk, monkeypatch: pytest.MonkeyPatch, streams_are: str
) -> None:
    page = looking.sign_in(chromium, site, tara.user, "/account")
    if streams_are == "full":
        monkeypatch.setattr(streams, "MOST", 0)
    else:
        page.route("**/streams/*", lambda route: route.abort())
    page.goto(f"{site}/trader/queue")
    expect(page.locator("#connection")).to_contain_text("looks every 15 seconds")
    expect(page.locator("#payins-empty")).to_be_visible()
    order = tara.payin(claimed=True)
    expect(page.locator(card(order))).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\(1\) "))


@pytest.mark.proves("tried U1")
def test_a_key_never_takes_a_payin_nobody_has_paid(chromium: Browser, site: str, tara: Desk) -> None:
    order = tara.payin()
    page = sign_in(chromium, site, tara)
    page.keyboard.press("c")
    page.wait_for_timeout(500)
    assert tara.now(order).status == Status.AWAITING_PAYMENT


def test_news_does_not_touch_a_half_typed_form(chromium: Browser, site: str, tara: Desk) -> None:
    order = tara.payin()
    page = sign_in(chromium, site, tara)
    page.click(f"{card(order)} summary:has-text('Another amount')")
    page.locator(f"#amount-{order.id}").press_sequentially("14")
    other = tara.payin(700_00, claimed=True)
    tara.claim(order)
    expect(page.locator(card(other))).to_be_visible()
    expect(page.locator(f"{card(order)} .stale")).to_be_visible()
    page.keyboard.type("00")  # the focus is still in the field
    expect(page.locator(f"#amount-{order.id}")).to_have_value("1400")
    page.keyboard.press("Enter")
    agree = page.locator(f"{card(order)} .agree")
    expect(agree.locator("button")).to_be_focused()
    assert problems(page) == []
    expect(agree).to_contain_text("1,400.00")
    expect(agree).to_contain_text("1,500.00")
    agree.locator("button").click()
    expect(page.locator("#notice")).to_contain_text("Noted: 1,400.00 RUB.")
    assert tara.now(order).amount_reported_minor == 1400_00


def test_what_is_wrong_with_an_amount_is_said_and_the_focus_is_there(
    chromium: Browser, site: str, tara: Desk
) -> None:
    order = tara.payin(claimed=True)
    page = sign_in(chromium, site, tara)
    page.click(f"{card(order)} summary:has-text('Another amount')")
    page.fill(f"#amount-{order.id}", "many")
    page.press(f"#amount-{order.id}", "Enter")
    expect(page.locator(f"#amount-{order.id}-problem")).to_be_visible()
    expect(page.locator(f"#amount-{order.id}")).to_be_focused()
    assert tara.now(order).status == Status.AWAITING_CONFIRMATION


def test_a_receipt_opens_large_and_closes_with_escape(chromium: Browser, site: str, tara: Desk) -> None:
    order = tara.payin(claimed=True)
    tara.receipt(order)
    page = sign_in(chromium, site, tara)
    page.click(f"{card(order)} .receipt-thumb")
    dialog = page.locator("dialog[open]")
    expect(dialog.locator("img")).to_be_visible()
    assert dialog.locator("img").evaluate("image => image.complete && image.naturalWidth > 0")
    page.keyboard.press("c")  # not while something lies over the card
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert tara.now(order).status == Status.AWAITING_CONFIRMATION


def test_a_payout_from_offer_to_paid(chromium: Browser, site: str, tara: Desk, tmp_path: Path) -> None:
    order = tara.payout()
    proof = tmp_path / "proof.png"
    proof.write_bytes(picture(3))
    page = sign_in(chromium, site, tara)
    page.click(f"{card(order)} button:has-text('Accept')")
    expect(page.locator(f"{card(order)} .pay-to")).to_be_visible()
    page.set_input_files(f"#proof-{order.id}", proof)
    page.click(f"{card(order)} button:has-text('I have paid')")
    expect(page.locator("#notice")).to_contain_text("Noted.")
    assert tara.now(order).status == Status.AWAITING_CONFIRMATION


def test_everything_works_without_a_script(chromium: Browser, site: str, tara: Desk) -> None:
    first, second = tara.payin(1500_00, claimed=True), tara.payin(700_00)
    page = sign_in(chromium, site, tara, java_script_enabled=False)
    page.click(f"{card(first)} [data-confirms]")
    expect(page.locator("#notice")).to_contain_text("Confirmed: 1,500.00 RUB.")
    page.click(f"{card(second)} summary:has-text('Give the order back')")
    page.select_option(f"#reason-{second.id}", "bank_problem")
    page.click(f"{card(second)} button:has-text('Give back')")
    expect(page.locator("#notice")).to_contain_text("given back")
    page.click("#switch-button")
    expect(page.locator("#switch")).to_contain_text("You have switched yourself off.")
    assert tara.now(first).status == Status.COMPLETED
    assert tara.now(second).status == Status.MATCHING


def test_axe_finds_nothing_and_nothing_is_cut_off(chromium: Browser, site: str, tara: Desk) -> None:
    tara.receipt(tara.payin(1500_00, claimed=True))
    tara.payin(98_765_43)
    tara.expired(900_00)
    tara.payout(2000_00, accepted=True)
    tara.payout(3000_00)
    page = sign_in(chromium, site, tara)
    for summary in page.locator("main summary").all():
        summary.click()
    looks = [(width, theme) for width in (320, 1360) for theme in ("light", "dark")]
    assert problems(page, *looks) == []
    page.goto(f"{site}/account")
    assert problems(page, *looks) == []
