"""The shell in a real browser: every page of a person's navigation at 320 and 1280 px, dark and light, by axe."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from portal.identity.models import Role
from tests.browser.looking import BOTH, open_page, problems, sign_in
from tests.browser.walk import owner_of
from tests.web.desk import PASSWORD, Desk, new_user


@pytest.fixture
def desk(tara: Desk) -> Desk:
    tara.payin(1500_00)
    return tara


@pytest.mark.parametrize("role", [Role.LEAD, Role.SUPPORT, Role.ADMIN, Role.MERCHANT])
def test_axe_finds_nothing_on_any_page_of_the_navigation(
    chromium: Browser, site: str, desk: Desk, role: Role
) -> None:
    user = owner_of(desk) if role is Role.MERCHANT else new_user(role)
    page = sign_in(chromium, site, user, "/")
    links = page.eval_on_selector_all("header a[href^='/']", "all => all.map(a => a.getAttribute('href'))")
    assert len(set(links)) >= 4
    seen = set()
    for path in dict.fromkeys([*links, "/nowhere"]):
        page.goto(f"{site}{path}")
        if page.url not in seen:
            assert problems(page, *BOTH) == [], path
        seen.add(page.url)
    assert len(seen) >= 4


def test_the_components_are_sound_in_both_themes(chromium: Browser, site: str, desk: Desk) -> None:
    page = sign_in(chromium, site, desk.user, "/dev/components")
    assert problems(page, (1280, "light"), (1280, "dark")) == []


def test_the_menu_and_the_theme_work_by_keyboard_and_without_a_script(
    chromium: Browser, site: str, desk: Desk
) -> None:
    page = open_page(chromium, viewport={"width": 320, "height": 800}, java_script_enabled=False)
    page.goto(f"{site}/sign-in")
    page.fill("#email", owner_of(desk).email)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.locator("summary[aria-label=Menu]").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Orders").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Orders")
    page.locator(".account-menu > summary").press("Enter")
    page.get_by_role("button", name="Dark", exact=True).press("Enter")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    expect(page).to_have_url(f"{site}/merchant/orders")
    page.locator(".account-menu > summary").press("Enter")
    page.get_by_role("button", name="Русский").press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "ru")


def test_narrowing_a_list_swaps_the_table_alone(chromium: Browser, site: str, desk: Desk) -> None:
    page = sign_in(chromium, site, desk.user, "/dev/components")
    page.evaluate("window.stayed = true")
    page.select_option("#filter-status", "completed")
    expect(page.locator("#list-specimens tbody tr")).to_have_count(2)
    assert page.evaluate("window.stayed")
    assert "status=completed" in page.url
