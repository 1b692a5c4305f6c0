"""Text of twice the size on a narrow phone: nobody has to scroll sideways to read or to press."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import update

from portal.core.db import db, transaction
from portal.core.ids import public_id
from portal.identity.models import User
from tests.browser.looking import open_page, sign_in
from tests.browser.stand import Stand, states
from tests.browser.walk import PORTALS, pages_of, person_of, show_something
from tests.web.desk import Desk

NARROW: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}
_WRONG_IN_LARGE = """() => {
  const shown = () => [...document.body.querySelectorAll("*")].filter(element => element.checkVisibility());
  const open = (selector) => { for (const closed of document.querySelectorAll(selector)) closed.open = true; };
  const size = (element) => parseFloat(getComputedStyle(element).fontSize);
  const hasWords = (element) => [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
  // What only a voice reads is cut to a pixel; an ellipsis, and what can be scrolled, say that there is more.
  const isCut = (element) => {
    const style = getComputedStyle(element);
    if (style.display === "inline" || style.clipPath !== "none" || style.clip !== "auto") return false;
    if (style.textOverflow === "ellipsis" || ["auto", "scroll"].includes(style.overflowY)) return false;
    return element.scrollHeight > element.clientHeight + size(element) / 2;
  };
  const isOver = (element) => element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 1;

  open("main details:not(.menu)");
  const sizes = new Map(shown().filter(hasWords).map(element => [element, size(element)]));
  document.documentElement.style.fontSize = "200%";
  // A payment page's ordinary size is 17 px, and an amount in large type is large enough.
  const small = [...sizes.keys()].filter(element => size(element) < Math.min(1.8 * sizes.get(element), 40));
  const cut = shown().filter(isCut);
  open("details");
  const wide = document.documentElement.scrollWidth - innerWidth;
  const over = wide > 0 ? shown().filter(e => isOver(e) && ![...e.children].some(isOver)) : [];
  const named = (found) => found.slice(0, 6)
    .map(e => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 30)}`).join(" | ");
  const wrong = { [`${wide} px too wide`]: wide > 0 && named(over), "does not grow": named(small), "is cut off": named(cut) };
  return Object.entries(wrong).filter(([, found]) => found).map(([what, found]) => `${what}: ${found}`).join("; ") || null;
}"""


def wrong_in_large(page: Page) -> str | None:
    """What is wrong with text of twice the size: a page too wide, words that stay small, words that are cut off."""
    found: str | None = page.evaluate(_WRONG_IN_LARGE)
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
        if wrong := wrong_in_large(page):
            found[name] = wrong
    assert found == {}


@pytest.mark.proves("tried U5")
@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("portal", PORTALS)
def test_the_portals_take_text_of_twice_the_size(
    chromium: Browser, site: str, tara: Desk, portal: str, language: str
) -> None:
    show_something(tara)
    order = public_id("ord", tara.expired(1700_00).id)
    person = person_of(portal, tara)
    with transaction():
        db.session.execute(update(User).where(User.id == person.id).values(locale=language))
    page = sign_in(chromium, site, person, "/", **NARROW)
    assert page.evaluate("document.documentElement.lang") == language
    # Tara is in no team of a lead.
    also = ["/account/security"] + [f"/{portal}/orders/{order}"] * (portal != "lead")
    found = {path: wrong for path in pages_of(page, site, *also) if (wrong := wrong_in_large(page))}
    assert found == {}
