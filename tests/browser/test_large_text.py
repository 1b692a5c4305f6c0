"""Text of twice the size on a narrow phone: nobody has to scroll sideways to read or to press."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import update

from portal.core.db import db, transaction
from portal.identity.models import User
from tests.browser.looking import open_page, sign_in
from tests.browser.stand import Stand, states
from tests.browser.walk import PORTALS, pages_of, person_of, show_something
from tests.web.desk import Desk

NARROW: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}
_TOO_WIDE = """() => {
  document.documentElement.style.fontSize = "200%";
  for (const closed of document.querySelectorAll("main details")) closed.open = true;
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide <= 0) return null;
  const isOver = (element) => element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 1;
  const over = [...document.body.querySelectorAll("*")].filter(e => isOver(e) && ![...e.children].some(isOver));
  return `${wide} px: ` + over.slice(0, 6).map(e => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 30)}`).join(" | ");
}"""


def too_wide(page: Page) -> str | None:
    """By how much the page is too wide with text of twice the size, and what reaches over the edge."""
    found: str | None = page.evaluate(_TOO_WIDE)
    return found


@pytest.mark.proves("tried U5")
@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_payment_page_takes_text_of_twice_the_size(
    stand: Stand, chromium: Browser, language: str
) -> None:
    page = open_page(chromium, **NARROW)
    found = {}
    for name, address in states(stand).items():
        page.goto(address + ("&" if "?" in address else "?") + f"lang={language}")
        if wrong := too_wide(page):
            found[name] = wrong
    assert found == {}


@pytest.mark.proves("tried U5")
@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("portal", PORTALS)
def test_the_portals_take_text_of_twice_the_size(
    chromium: Browser, site: str, tara: Desk, portal: str, language: str
) -> None:
    show_something(tara)
    person = person_of(portal, tara)
    with transaction():
        db.session.execute(update(User).where(User.id == person.id).values(locale=language))
    page = sign_in(chromium, site, person, "/", **NARROW)
    assert page.evaluate("document.documentElement.lang") == language
    found = {path: wrong for path in pages_of(page, site, "/account/security") if (wrong := too_wide(page))}
    assert found == {}
