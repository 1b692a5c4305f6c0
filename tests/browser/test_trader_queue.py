"""The trader's queue in a real browser: live cards, the keys, half-typed forms, no script, axe."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from portal.orders.models import Status
from tests.web.desk import PASSWORD, Desk, open_desk

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed"),
]


@pytest.fixture
def site(committed_db: Flask) -> Iterator[str]:
    """The app on a free port, a thread for each request."""
    server = make_server("127.0.0.1", 0, committed_db, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def tara(committed_db: Flask) -> Iterator[Desk]:
    with committed_db.app_context():
        yield open_desk(committed_db)


def sign_in(chromium: Browser, site: str, desk: Desk, **options: Any) -> Page:
    page = chromium.new_context(**options).new_page()
    page.set_default_timeout(30_000)
    page.goto(f"{site}/trader/queue")
    page.fill("#email", desk.user.email)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url("**/trader/queue")
    return page


def card(order: Any) -> str:
    return f"#order-{order.id}"


def test_a_new_card_appears_by_itself_and_one_key_confirms_it(
    chromium: Browser, site: str, tara: Desk
) -> None:
    page = sign_in(chromium, site, tara)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    expect(page.locator("#payins-empty")).to_be_visible()
    order = tara.payin(claimed=True)
    expect(page.locator(card(order))).to_be_visible()
    assert page.title().startswith("(1) ")
    page.wait_for_timeout(1600)  # a card that has just come first is shown before a key takes it
    page.keyboard.press("c")
    expect(page.locator("#notice")).to_contain_text("Confirmed: 1,500.00 RUB.")
    expect(page.locator(card(order))).to_have_count(0)
    assert tara.now(order).status == Status.COMPLETED
    assert not page.title().startswith("(")
    assert problems == []


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
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate("axe.run()")["violations"] == []
    expect(agree).to_contain_text("1,400.00")
    expect(agree).to_contain_text("1,500.00")
    agree.locator("button").click()
    expect(page.locator("#notice")).to_contain_text("Confirmed: 1,400.00 RUB.")
    assert tara.now(order).amount_received_minor == 1400_00


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
    from tests.web.desk import picture

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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1360])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    chromium: Browser, site: str, tara: Desk, scheme: str, width: int
) -> None:
    tara.receipt(tara.payin(1500_00, claimed=True))
    tara.payin(98_765_43)
    tara.expired(900_00)
    tara.payout(2000_00, accepted=True)
    tara.payout(3000_00)
    page = sign_in(chromium, site, tara, color_scheme=scheme, viewport={"width": width, "height": 900})
    for summary in page.locator("main summary").all():
        summary.click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.goto(f"{site}/account")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate("axe.run()")["violations"] == []
