"""Every menu of every page of every portal opens and closes, by mouse and by keyboard, and no page complains."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.looking import complaints_of, sign_in
from tests.browser.walk import PORTALS, pages_of, person_of
from tests.web.desk import Desk

# A place of the page where there is nothing to press, outside of the menu that is open.
_ELSEWHERE = """menu => {
  for (let y = innerHeight - 4; y > 0; y -= 12) for (let x = 4; x < innerWidth; x += 16) {
    const there = document.elementFromPoint(x, y);
    if (there && !menu.contains(there) && !there.closest("a, button, summary, label, input, select, textarea"))
      return { x, y };
  }
}"""
_LIES_ON_THE_PAGE = """panel => {
  const box = panel.getBoundingClientRect();
  return box.left >= 0 && box.right <= innerWidth;
}"""
SIZES = {"phone": (360, 740), "desktop": (1440, 900)}


def play(page: Page) -> list[str]:
    """Open and close each menu that is to be seen, in both ways; what did not happen."""
    wrong = []
    menus = page.locator("details.menu")
    for number in range(menus.count()):
        menu = menus.nth(number)
        summary, panel = menu.locator("> summary"), menu.locator("> :not(summary)").first
        if not summary.is_visible():
            continue
        name = summary.inner_text().strip() or summary.get_attribute("aria-label")
        for way in ("mouse", "keyboard"):
            summary.click() if way == "mouse" else summary.press("Enter")
            if not panel.is_visible() or not panel.evaluate(_LIES_ON_THE_PAGE):
                wrong.append(f"{name} does not open by {way} to be seen")
                continue
            # A click inside of it, beside what can be pressed, is no reason to close.
            panel.click(position={"x": 2, "y": 2})
            if not panel.is_visible():
                wrong.append(f"{name} closes under the {way}")
            page.keyboard.press("Escape") if way == "keyboard" else page.mouse.click(
                **menu.evaluate(_ELSEWHERE)
            )
            if panel.is_visible():
                wrong.append(f"{name} does not close by {way}")
    assert menus.count() >= 2, page.url
    return wrong


@pytest.mark.proves("tried U2")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("portal", PORTALS)
def test_every_menu_of_every_page_opens_and_closes(
    chromium: Browser, site: str, tara: Desk, portal: str, size: str
) -> None:
    tara.payin(claimed=True)
    width, height = SIZES[size]
    page = sign_in(chromium, site, person_of(portal, tara), "/", viewport={"width": width, "height": height})
    complaints = complaints_of(page)
    found = {}
    for path in pages_of(page, site):
        if wrong := play(page) + complaints:
            found[path] = wrong
        complaints.clear()
    assert found == {}
