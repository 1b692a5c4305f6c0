"""The shell in a real browser: every page of a person's navigation at 320 and 1280 px, dark and light, by axe."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from portal.core.db import db, transaction
from portal.identity.models import MemberRole, Role
from portal.identity.people_models import MerchantMember
from tests.web.desk import PASSWORD, Desk, new_user, open_desk

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = (Path(__file__).parents[1] / "vendor" / "axe.min.js").read_text(encoding="utf-8")
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
def desk(committed_db: Flask) -> Iterator[Desk]:
    with committed_db.app_context():
        found = open_desk(committed_db)
        found.payin(1500_00)
        yield found


def sign_in(chromium: Browser, site: str, email: str, width: int, theme: str) -> Page:
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(f"{site}/sign-in")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    return page


def owner_of(desk: Desk) -> str:
    user = new_user(Role.MERCHANT)
    with transaction():
        member = MerchantMember(
            merchant_id=desk.scene.store.merchant_id, user_id=user.id, role=MemberRole.OWNER.value
        )
        db.session.add(member)
    return user.email


def problems(page: Page) -> list[str]:
    """What axe finds, and whether the page is wider than its window."""
    found = page.evaluate(f"{AXE}; axe.run().then(r => r.violations.map(v => v.id + ' ' + v.nodes[0].html))")
    width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [*found, *([f"{width} px too wide"] if width > 0 else [])]


@pytest.mark.parametrize(("width", "theme"), [(320, "dark"), (1280, "light")])
def test_axe_finds_nothing_on_any_page_of_the_navigation(
    chromium: Browser, site: str, desk: Desk, width: int, theme: str
) -> None:
    people = {role: new_user(role).email for role in (Role.LEAD, Role.SUPPORT, Role.ADMIN)}
    people[Role.MERCHANT] = owner_of(desk)
    for email in people.values():
        page = sign_in(chromium, site, email, width, theme)
        links = page.eval_on_selector_all(
            "header a[href^='/']", "all => all.map(a => a.getAttribute('href'))"
        )
        assert len(set(links)) >= 4
        for path in dict.fromkeys([*links, "/nowhere"]):
            page.goto(f"{site}{path}")
            assert problems(page) == [], path
        page.context.close()


def test_the_components_are_sound_in_both_themes(chromium: Browser, site: str, desk: Desk) -> None:
    page = sign_in(chromium, site, desk.user.email, 1280, "light")
    for _theme in range(2):
        page.goto(f"{site}/dev/components")
        assert problems(page) == []
        page.emulate_media(color_scheme="dark")


def test_the_menu_and_the_theme_work_by_keyboard_and_without_a_script(
    chromium: Browser, site: str, desk: Desk
) -> None:
    context = chromium.new_context(viewport={"width": 320, "height": 800}, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(f"{site}/sign-in")
    page.fill("#email", owner_of(desk))
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
    context.close()


def test_narrowing_a_list_swaps_the_table_alone(chromium: Browser, site: str, desk: Desk) -> None:
    page = sign_in(chromium, site, desk.user.email, 1280, "light")
    page.goto(f"{site}/dev/components")
    page.evaluate("window.stayed = true")
    page.select_option("#filter-status", "completed")
    expect(page.locator("#list-specimens tbody tr")).to_have_count(2)
    assert page.evaluate("window.stayed")
    assert "status=completed" in page.url
