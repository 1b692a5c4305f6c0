"""How these tests open a page, and how they look at it: what axe finds and what is cut off at the side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from portal.core.db import transaction
from portal.identity.models import User
from portal.identity.tokens.sessions import SessionTimes, start_session
from portal.web.shell.security import session_cookie

AXE = (Path(__file__).parents[1] / "vendor" / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SMALL_AND_DARK, WIDE_AND_LIGHT = (320, "dark"), (1280, "light")
BOTH = (SMALL_AND_DARK, WIDE_AND_LIGHT)
# Colours that are still on their way to the other theme are nobody's colours.
SETTLED = """async () => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  for (const moving of document.getAnimations()) if (moving instanceof CSSTransition) moving.finish();
}"""
_FOUND = """async rules => {
  const result = await axe.run(document, { runOnly: rules, resultTypes: ["violations"] });
  const found = result.violations.map(rule => `${rule.id} ${rule.nodes.map(node => node.html.slice(0, 200))}`);
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  return { found: wide > 0 ? [...found, `${wide} px too wide`] : found, passed: result.passes.length };
}"""


def open_page(chromium: Browser, **look: Any) -> Page:
    """A window of its own, of nobody who has signed in."""
    page = chromium.new_context(**look).new_page()
    page.set_default_timeout(30_000)
    return page


def sign_in(chromium: Browser, site: str, user: User, path: str, **look: Any) -> Page:
    """The page of this path, by a session as the sign-in page begins it (which has tests of its own)."""
    page = open_page(chromium, **look)
    with transaction():
        session = start_session(user.id, "127.0.0.1", None, SessionTimes(absolute_s=3600))
    page.context.add_cookies([{"name": session_cookie(), "value": session.token, "url": site}])
    page.goto(f"{site}{path}")
    return page


def complaints_of(page: Page) -> list[str]:
    """Grows with what the browser complains about."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def problems(page: Page, *looks: tuple[int, str]) -> list[str]:
    """What axe finds on the page as it is, or in each of these widths and themes one after the other."""
    if not page.evaluate("'axe' in window"):
        # By the debugger: the page's own policy lets no foreign script in.
        page.evaluate(AXE)
    if not looks:
        return _problems_now(page)
    found = []
    for width, theme in looks:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        found += [f"{width} px, {theme}: {problem}" for problem in _problems_now(page)]
    return found


def _problems_now(page: Page) -> list[str]:
    page.evaluate(SETTLED)
    result = page.evaluate(_FOUND, RULES)
    assert result["passed"] > 10, page.url
    return list(result["found"])
