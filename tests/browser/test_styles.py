"""With the used part of the framework every element looks as it does with all of it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from styles.__main__ import SHIPPED, SOURCE
from tests.browser.looking import SETTLED, open_page, sign_in
from tests.browser.walk import PORTALS, pages_of, person_of, show_something
from tests.web.desk import Desk

_WHOLE = "/static/the-whole-framework.css"
# An element of each kind and place is enough: by tag, classes and state, from the body down.
_LOOK = """seen => {
  const kind = element => element.tagName + "." + element.getAttribute("class") + ["type", "disabled", "aria-current",
    "aria-expanded", "aria-invalid", "open", "hidden"].map(name => `${name}=${element.getAttribute(name)}`);
  const paths = new Map([[document.documentElement, ""]]);
  const known = new Set(seen);
  window.looked = [];
  for (const element of document.querySelectorAll("body, body *")) {
    const path = `${paths.get(element.parentElement)} ${kind(element)}`;
    paths.set(element, path);
    if (known.has(path)) continue;
    known.add(path);
    for (const part of [null, "::before", "::after"]) {
      const style = getComputedStyle(element, part);
      if (part && style.content === "none") continue;
      window.looked.push([element, part, path]);
    }
  }
  window.styles = () => window.looked.map(([element, part]) => {
    const style = getComputedStyle(element, part);
    return [...style].filter(name => !name.startsWith("--")).map(name => `${name}: ${style.getPropertyValue(name)}`);
  });
  window.before = [window.styles(), window.styles()];
  return [...new Set(window.looked.map(([, , path]) => path))];
}"""
_CHANGED = """() => window.styles().flatMap((lines, at) => {
  const [first, second] = window.before.map(taken => taken[at]);
  const [element, part] = window.looked[at];
  return lines.filter((line, place) => line !== second[place] && first[place] === second[place])
    .map(line => `${element.outerHTML.slice(0, 100)} ${part || ""} now ${line}`);
})"""
_SWAP = """async ([shipped, whole]) => {
  const link = document.querySelector(`link[href*="${shipped}"]`);
  const other = document.createElement("link");
  other.rel = "stylesheet";
  await new Promise((resolve, reject) => {
    other.onload = resolve; other.onerror = reject; other.href = whole; link.after(other);
  });
  link.remove();
  await new Promise(requestAnimationFrame);
}"""


def differences(page: Page, seen: set[str]) -> list[str]:
    """What changes with the whole framework, but for what changes by itself; of elements unlike those `seen` before."""
    page.route(f"**{_WHOLE}", lambda route: route.fulfill(path=SOURCE, content_type="text/css"))
    page.evaluate(SETTLED)
    looked: list[str] = page.evaluate(_LOOK, list(seen))
    seen.update(looked)
    page.evaluate(_SWAP, [SHIPPED.name, _WHOLE])
    return [f"{page.url}: {change}" for change in page.evaluate(_CHANGED)]


@pytest.mark.parametrize("portal", PORTALS)
def test_every_page_of_a_portal_looks_as_with_the_whole_framework(
    chromium: Browser, site: str, tara: Desk, portal: str
) -> None:
    show_something(tara)
    page = sign_in(chromium, site, person_of(portal, tara), "/account")
    page.set_viewport_size({"width": 1280, "height": 800})
    home = page.goto(f"{site}/")
    assert home is not None
    seen: set[str] = set()
    found = [change for _path in pages_of(page, site, "/account") for change in differences(page, seen)]
    assert len(seen) > 100
    assert found[:20] == []


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1280, "light")])
def test_every_component_looks_as_with_the_whole_framework(
    chromium: Browser, site: str, tara: Desk, width: int, theme: Any
) -> None:
    look = {"viewport": {"width": width, "height": 800}, "color_scheme": theme}
    page = sign_in(chromium, site, tara.user, "/dev/components", **look)
    assert page.url.endswith("/dev/components")
    seen: set[str] = set()
    found = differences(page, seen)
    assert len(seen) > 100
    plain = open_page(chromium, **look)
    plain.goto(f"{site}/sign-in")
    assert (found + differences(plain, seen))[:20] == []
