"""What is focused can be seen: on every control of every portal, of the payment page and of the way in."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.looking import open_page, sign_in
from tests.browser.stand import Stand, states
from tests.browser.walk import PORTALS, pages_of, person_of, show_something
from tests.web.desk import Desk

# Each control by its computed styles: its ring, what lies on both sides of it, and whether a frame cuts it off.
_WEAK_RINGS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const colour = (text, under) => {
    canvas.fillStyle = `rgb(${under})`; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const ground = (element) => {
    const chain = [];
    for (let at = element; at; at = at.parentElement) chain.unshift(getComputedStyle(at).backgroundColor);
    return chain.reduce((under, over) => colour(over, under), [255, 255, 255]);
  };
  const light = (rgb) => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const cutOff = (control, beyond) => {
    const ring = control.getBoundingClientRect();
    for (let at = control.parentElement; at && at !== document.body; at = at.parentElement) {
      const { overflowX, overflowY } = getComputedStyle(at);
      const frame = at.getBoundingClientRect();
      const left = ring.left - beyond - frame.left - at.clientLeft + at.scrollLeft;
      const top = ring.top - beyond - frame.top - at.clientTop + at.scrollTop;
      const right = left + ring.width + 2 * beyond - (overflowX.match(/auto|scroll/) ? at.scrollWidth : at.clientWidth);
      const bottom = top + ring.height + 2 * beyond - (overflowY.match(/auto|scroll/) ? at.scrollHeight : at.clientHeight);
      if (overflowX !== "visible" && (left < -.5 || right > .5)) return `cut off at the side by ${at.className}`;
      if (overflowY !== "visible" && (top < -.5 || bottom > .5)) return `cut off above or below by ${at.className}`;
      if (getComputedStyle(at).position === "fixed") return "";
    }
    return "";
  };
  for (const closed of document.querySelectorAll("details")) closed.open = true;
  const found = new Set();
  let seen = 0;
  for (const control of document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select, textarea, [tabindex='0']")) {
    if (control.disabled || !control.checkVisibility({ visibilityProperty: true })) continue;
    control.focus({ preventScroll: true });
    if (document.activeElement !== control) continue;
    for (const moving of document.getAnimations()) if (moving instanceof CSSTransition) moving.finish();
    seen += 1;
    let ringed = control;
    for (let up = 0; up < 3 && getComputedStyle(ringed).outlineStyle !== "solid" && ringed.parentElement; up++) ringed = ringed.parentElement;
    const style = getComputedStyle(ringed);
    const [offset, width] = [parseFloat(style.outlineOffset), parseFloat(style.outlineWidth)];
    const outside = ground(offset + width > 0 ? ringed.parentElement ?? ringed : ringed);
    const inside = ground(offset > 0 ? ringed.parentElement ?? ringed : ringed);
    const ring = colour(style.outlineColor, outside);
    const least = Math.min(contrast(ring, outside), contrast(ring, inside));
    const wrong = style.outlineStyle !== "solid" || width < 2 ? "no ring"
      : least < 3 ? `${least.toFixed(2)} to 1` : cutOff(ringed, offset + width);
    if (wrong) found.add(`${wrong}: ${control.tagName}.${control.className} in ${control.parentElement.tagName}.${control.parentElement.className}`);
  }
  return { found: [...found], seen };
}"""


def weak_rings(page: Page) -> list[str]:
    """In both themes, and with everything that opens open."""
    page.keyboard.press("Tab")  # from now on focus is to be seen
    found = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.evaluate("() => new Promise(requestAnimationFrame)")
        result = page.evaluate(_WEAK_RINGS)
        assert result["seen"] >= 1, page.url
        found += [f"{theme}: {wrong}" for wrong in result["found"]]
    return found


@pytest.mark.proves("tried U4")
@pytest.mark.parametrize("portal", PORTALS)
def test_the_focus_is_seen_on_every_control_of_the_portals(
    chromium: Browser, site: str, tara: Desk, portal: str
) -> None:
    show_something(tara)
    page = sign_in(chromium, site, person_of(portal, tara), "/", reduced_motion="reduce")
    found = {path: wrong for path in pages_of(page, site, "/account/security") if (wrong := weak_rings(page))}
    assert found == {}


@pytest.mark.proves("tried U4")
def test_the_focus_is_seen_where_people_sign_in_and_pay(stand: Stand, chromium: Browser) -> None:
    page = open_page(chromium, reduced_motion="reduce")
    found = {}
    for name, address in (states(stand) | {"sign-in": f"{stand.address}/sign-in"}).items():
        page.goto(address)
        if name != "unknown" and (wrong := weak_rings(page)):
            found[name] = wrong
    assert found == {}
