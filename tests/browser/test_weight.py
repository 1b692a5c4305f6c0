"""What a page weighs on the wire, as Chromium counts it: with nothing kept, and again with what it has kept."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.looking import open_page, sign_in
from tests.browser.stand import Stand
from tests.browser.walk import PORTALS, person_of, show_something
from tests.web.desk import Desk


def weight_of(page: Page, address: str) -> int:
    """Bytes that came over the line for the page and its files, headers and all."""
    watch = page.context.new_cdp_session(page)
    came: list[float] = []

    def count(event: dict[str, Any]) -> None:
        came.append(event["encodedDataLength"])

    watch.on("Network.loadingFinished", count)
    watch.send("Network.enable")
    page.goto(address, wait_until="load")
    page.wait_for_timeout(1000)
    watch.detach()
    assert len(came) >= 3
    return int(sum(came))


@pytest.mark.proves("tried U11")
@pytest.mark.parametrize("portal", PORTALS)
def test_a_portal_comes_with_150_kb_and_again_with_a_fifth(
    chromium: Browser, site: str, tara: Desk, portal: str
) -> None:
    show_something(tara)
    person = person_of(portal, tara)
    signed_in = sign_in(chromium, site, person, "/account")
    home = signed_in.goto(f"{site}/")
    assert home is not None
    cold = open_page(chromium)
    cold.context.add_cookies(signed_in.context.cookies())  # type: ignore[arg-type]
    first, again = weight_of(cold, home.url), weight_of(cold, home.url)
    assert 60_000 < first <= 150_000
    assert again <= 32_000


@pytest.mark.proves("tried U11")
def test_the_payment_page_comes_with_40_kb(stand: Stand, chromium: Browser) -> None:
    page = open_page(chromium)
    address = stand.url(stand.new_order(1500_00))
    assert weight_of(page, address) <= 40_000
    assert weight_of(page, address) <= 15_000
