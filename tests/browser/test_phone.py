"""Every page of a portal's navigation under a thumb: nothing beyond the edge, and room enough for each target."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import Browser

from portal.identity.models import Role, User
from tests.browser.looking import sign_in
from tests.web.desk import Desk, new_user

ACCOUNT = ["/account", "/account/security", "/account/tokens", "/account/notifications/choices"]
# A link in a sentence is as high as its line; what lies over a whole figure is as large as that.
_WRONG = """() => {
  const found = [], wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) found.push(`${wide} px too wide`);
  if (document.querySelectorAll('h1').length !== 1) found.push('not one heading of the page');
  for (const target of document.querySelectorAll('a[href], button, summary, select, input:not([type=hidden])')) {
    if (!target.checkVisibility() || target.matches('.skip, .stat-link')) continue;
    if (getComputedStyle(target).display === 'inline' && target.closest('p, li')) continue;
    const box = (target.closest('label') ?? target).getBoundingClientRect();
    if (box.width > 1 && box.height < 43.5) found.push(`${Math.round(box.height)} px high: ${target.outerHTML.slice(0, 120)}`);
    const cut = target.matches('summary, button, a') && target.scrollWidth > target.clientWidth + 1;
    if (cut && getComputedStyle(target).overflowX !== 'visible') found.push(`cut: ${target.outerHTML.slice(0, 120)}`);
  }
  return found;
}"""


@pytest.fixture
def people(tara: Desk) -> dict[str, User]:
    tara.payin(1500_00)
    return {"trader": tara.user, "admin": new_user(Role.ADMIN), "support": new_user(Role.SUPPORT)}


@pytest.mark.parametrize("role", ["trader", "admin", "support"])
def test_a_thumb_finds_every_target_of_the_pages_in_the_navigation(
    chromium: Browser, site: str, people: dict[str, User], committed_db: Flask, role: str
) -> None:
    phone = {
        "viewport": {"width": 320, "height": 700},
        "has_touch": True,
        "is_mobile": True,
        "locale": "ru-RU",
    }
    page = sign_in(chromium, site, people[role], "/", **phone)
    links = page.locator(".rail-menu .nav-list a").evaluate_all("links => links.map(link => link.pathname)")
    assert len(links) > 1
    for path in dict.fromkeys([*links, *ACCOUNT]):
        page.goto(f"{site}{path}")
        assert page.title()
        assert page.evaluate(_WRONG) == [], path
