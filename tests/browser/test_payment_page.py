"""The payment page in a real browser, on a small phone: by hand, without JavaScript, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from portal.core.actors import CUSTOMER, SYSTEM
from portal.orders.service import claim_payin, confirm_payin
from tests.browser.looking import complaints_of, problems
from tests.browser.stand import Stand, states
from tests.web.pay.customer import picture


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


# What a screen reader would say: words that come into a live region that was there before, and alerts that come.
_LISTEN = """() => {
  window.heard = [];
  const live = "[role=status], [role=alert], [aria-live]:not([aria-live=off])";
  const regions = new Set(document.querySelectorAll(live));
  new MutationObserver(changes => {
    const spoken = new Set();
    for (const { target, addedNodes } of changes) {
      const region = (target.nodeType === 1 ? target : target.parentElement)?.closest(live);
      if (region && regions.has(region)) spoken.add(region);
      for (const node of addedNodes)
        if (node.nodeType === 1) [node, ...node.querySelectorAll("*")].filter(e => e.matches("[role=alert]")).forEach(e => spoken.add(e));
    }
    for (const region of spoken) if (region.isConnected && region.textContent.trim()) heard.push(region.textContent.trim());
    document.querySelectorAll(live).forEach(region => regions.add(region));
  }).observe(document, { subtree: true, childList: true, characterData: true });
}"""


@pytest.mark.proves("tried U7")
@pytest.mark.parametrize(
    ("language", "checked", "paid"),
    [
        ("en", "Your payment is being checked", "Paid"),
        ("ru", "Ваш платёж проверяют", "Оплачено"),
    ],
)
def test_what_becomes_of_a_payment_is_announced_once(
    stand: Stand, language: str, checked: str, paid: str
) -> None:
    customer = stand.new_order(2100_00, locale=language)
    page = stand.phone().new_page()
    page.goto(stand.url(customer))
    page.evaluate(_LISTEN)
    main = page.locator("main")
    customer.drive(claim_payin, None, actor=CUSTOMER)
    expect(main).to_have_attribute("data-screen", "checking")
    customer.drive(confirm_payin, None, actor=SYSTEM)
    expect(main).to_have_attribute("data-screen", "done")
    page.locator("[data-stay]").tap()
    page.wait_for_timeout(1500)
    heard = [words.split(".")[0] for words in page.evaluate("heard")]
    assert heard == [checked, paid]


@pytest.mark.proves("tried U7")
def test_that_a_payment_moved_on_under_a_form_is_announced_once(stand: Stand) -> None:
    customer = stand.new_order(2200_00, locale="en")
    page = stand.phone().new_page()
    page.goto(stand.url(customer))
    page.locator("summary").tap()
    page.locator("#f-name").fill("Ivan")
    page.evaluate(_LISTEN)
    customer.drive(confirm_payin, None, actor=SYSTEM)
    expect(page.locator("[data-changed]")).to_be_visible()
    page.wait_for_timeout(4500)  # and looked again
    assert page.evaluate("heard") == ["The payment has moved on. Show"]


@pytest.mark.proves("tried U6")
@pytest.mark.parametrize("has_script", [True, False], ids=["with a script", "without"])
@pytest.mark.parametrize(
    ("language", "error", "words"),
    [("en", "Error: ", "characters at most"), ("ru", "Ошибка: ", "не больше 120 символов")],
)
def test_a_wrong_form_shows_all_its_errors_and_leads_to_each(
    stand: Stand, language: str, error: str, words: str, has_script: bool
) -> None:
    customer = stand.new_order(2300_00, locale=language)
    page = stand.phone(java_script_enabled=has_script).new_page()
    page.goto(stand.url(customer))
    page.locator("summary").click()
    page.locator("#f-name").fill("x" * 200)
    page.locator("#f-last4").fill("12")
    page.locator("form[action*='/claim'] button.button").click()
    summary = page.locator("[data-problems]")
    expect(summary).to_be_focused()
    expect(summary).to_be_in_viewport()
    assert page.title().startswith(error)
    expect(summary).to_contain_text(words)
    assert summary.locator("a").evaluate_all("links => links.map(link => link.hash)") == [
        "#f-name",
        "#f-last4",
    ]
    assert not has_script or problems(page) == []
    for field in ("#f-last4", "#f-name"):
        summary.locator(f"a[href='{field}']").click()
        expect(page.locator(field)).to_be_focused()
        expect(page.locator(field)).to_be_in_viewport()
    assert customer.now().status == "awaiting_payment"
