"""The bell in a real browser: it counts by itself on any page, and is a link without a script."""

from __future__ import annotations

from flask import Flask
from playwright.sync_api import Browser, Page, expect

from portal.core.db import transaction
from portal.identity.models import Role, User
from portal.notifications.models import NotificationKind
from portal.notifications.service import notify
from tests.browser.looking import complaints_of, sign_in
from tests.web.desk import new_user


def dispute(user: User, about: str) -> None:
    params = {"order": "ord_x", "amount": "1500.00 RUB"}
    with transaction():
        notify([user.id], NotificationKind.DISPUTE_OPENED, params, "/account", about=about)


def hide(page: Page, *, hidden: bool) -> None:
    """As when another tab comes in front, or this one does again."""
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_who_walks_about_leaves_no_error_behind(committed_db: Flask, chromium: Browser, site: str) -> None:
    """A page that is left cuts its stream, which is nobody's failure; who stays after all is told on."""
    page = sign_in(chromium, site, new_user(Role.ADMIN), "/account")
    complaints = complaints_of(page)
    for path in ("/admin", "/account", "/admin/people", "/account/notifications") * 2:
        with page.expect_response("**/streams/bell"):
            page.goto(f"{site}{path}")
    with page.expect_response("**/streams/bell"):
        page.evaluate("window.dispatchEvent(new Event('beforeunload'))")
    assert complaints == []


def test_the_bell_counts_by_itself_and_leads_to_what_happened(
    committed_db: Flask, chromium: Browser, site: str
) -> None:
    user = new_user(Role.MERCHANT)
    page = sign_in(chromium, site, user, "/account")
    complaints = complaints_of(page)
    # From the streams' own port, where the site itself has led the page.
    with page.expect_response(lambda answer: answer.url.endswith("/streams/bell") and answer.status == 200):
        page.goto(f"{site}/account")
    bell = page.locator("#bell-count [data-unread]")
    expect(bell).to_have_count(0)
    dispute(user, "one")
    expect(bell).to_have_attribute("data-unread", "1")
    dispute(user, "two")
    expect(bell).to_have_attribute("data-unread", "2")
    hide(page, hidden=True)
    dispute(user, "three")
    page.wait_for_timeout(700)
    expect(bell).to_have_attribute("data-unread", "2")
    hide(page, hidden=False)
    expect(bell).to_have_attribute("data-unread", "3")
    plain = chromium.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    without = plain.new_page()
    without.goto(f"{site}/account")
    expect(without.locator("#bell-count [data-unread]")).to_have_attribute("data-unread", "3")
    without.click("a.bell")
    without.locator(".notification-unread button").first.click()
    without.wait_for_url("**/account*")
    expect(bell).to_have_attribute("data-unread", "2")
    without.goto(f"{site}/account/notifications")
    without.get_by_role("button", name="Mark all as read").click()
    expect(bell).to_have_count(0)
    assert complaints == []
