"""The administrators' pages about people in a real browser: axe, both widths and themes, and the road of a change."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from portal.approvals.access import change_access
from portal.core.db import transaction
from portal.core.permissions import Permission, Reach
from portal.identity.access.changes import AccessChange
from portal.identity.models import Role, User
from tests.access.people import acting
from tests.browser.looking import BOTH, problems, sign_in
from tests.web.desk import Desk, new_user


@pytest.fixture
def desk(tara: Desk) -> Desk:
    tara.payin(1500_00)
    return tara


def a_request(asker: User) -> str:
    """A change that waits for a second person; the path of its page."""
    whom = new_user(Role.SUPPORT)
    with transaction():
        change = AccessChange(grant={Permission.PAYIN_CONFIRM: Reach.TEAM})
        found = change_access(whom.id, change, "Covers for Lena", actor=acting(asker))
    return f"/admin/approvals/{found}"


def paths_of(desk: Desk, admin: User) -> list[str]:
    somebody = new_user(Role.SUPPORT, Role.LEAD)
    return [
        "/admin/people", "/admin/leads", "/admin/traders", "/admin/merchants", "/admin/invitations",
        "/admin/invitations/new", f"/admin/people/{somebody.id}", f"/admin/people/{somebody.id}/access",
        f"/admin/people/{desk.user.id}", f"/admin/merchants/{desk.scene.store.merchant_id}", "/admin/teams",
        f"/admin/teams/{desk.scene.team_id}", f"/admin/traders/{desk.trader.id}", "/admin/approvals",
        a_request(new_user(Role.ADMIN)), a_request(admin),
    ]  # fmt: skip


def test_axe_finds_nothing_on_the_pages_about_people(chromium: Browser, site: str, desk: Desk) -> None:
    admin = new_user(Role.ADMIN)
    page = sign_in(chromium, site, admin, "/admin/people")
    for path in paths_of(desk, admin):
        answer = page.goto(f"{site}{path}")
        assert answer is not None
        assert answer.status == 200, path
        assert problems(page, *BOTH) == [], path


def choose(page: Page, permission: str, choice: str) -> None:
    page.locator(f"[id='permission-{permission}']").select_option(choice)


def test_a_change_is_seen_and_made_by_the_keyboard_without_leaving_the_page(
    chromium: Browser, site: str, desk: Desk
) -> None:
    admin, somebody = new_user(Role.ADMIN), new_user(Role.SUPPORT)
    page = sign_in(chromium, site, admin, f"/admin/people/{somebody.id}/access")
    choose(page, "person:export", "all")
    page.get_by_role("button", name="Show what would change").press("Enter")
    expect(page.locator("#difference")).to_contain_text("person:export")
    assert problems(page) == []
    page.get_by_role("button", name="Change it").press("Enter")
    expect(page.locator("#access-reason-hint")).to_have_text("Say why.")
    page.fill("#access-reason", "A week of training")
    page.press("#access-reason", "Tab")
    page.get_by_role("button", name="Change it").press("Enter")
    page.wait_for_url(f"{site}/admin/people/{somebody.id}")
    expect(page.locator("#access")).to_contain_text("A week of training")
    page.get_by_text("Switch the login off").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("signed out everywhere")
    assert problems(page) == []
    page.fill("#reason-disable", "They left")
    page.press("#reason-disable", "Enter")
    expect(page.locator("h1")).to_contain_text("Blocked")
