"""The pictures of README and docs, taken from a running demo: `make screens` while `make demo` runs."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
import uuid
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).parent
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def new_payment(base: str, key: str) -> str:
    """Order a payin by card; the address of its page."""
    body = {
        "direction": "payin",
        "amount": "1500.00",
        "currency": "RUB",
        "method": "card",
        "external_id": str(uuid.uuid4()),
    }
    request = urllib.request.Request(
        f"{base}/api/v1/orders",
        json.dumps(body).encode(),
        {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Idempotency-Key": body["external_id"],
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["payment_url"])


def take(
    browser: Browser, facts: dict, base: str, language: str, width: int, folder: Path, *, both: bool
) -> None:
    """A picture of the payment page and of the trader's queue."""
    context = browser.new_context(viewport={"width": width, "height": 900}, locale=language)
    page = context.new_page()
    page.set_default_timeout(60_000)
    suffix = f"-{language}-{width}" if both else ""
    payment = new_payment(base, facts["api_keys"]["live"])
    page.goto(f"{payment}?lang={language}")
    page.screenshot(path=folder / f"payment{suffix}.png", full_page=both)
    page.goto(f"{base}/sign-in")
    page.fill("[name=email]", facts["logins"]["trader"]["email"])
    page.fill("[name=password]", facts["logins"]["trader"]["password"])
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    page.goto(f"{base}/trader/queue")
    page.screenshot(path=folder / f"trader-queue{suffix}.png", full_page=both)
    wide = page.evaluate("document.documentElement.scrollWidth")
    sys.stdout.write(f"{language} {width}: {page.url} is {wide} px wide\n")
    context.close()


# Who sees which page under which name of the picture.
PORTALS = (
    ("merchant", "/merchant", "merchant"),
    ("merchant", "/merchant/orders", "orders"),
    ("lead", "/lead", "lead"),
    ("support", "/support", "support"),
    ("admin", "/admin", "admin"),
    ("trader", "/trader/queue", "trader"),
    ("admin", "/dev/components", "components"),
)


def signed_in(browser: Browser, login: dict, base: str) -> dict:
    """The cookies of somebody who has signed in."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{base}/sign-in")
    page.fill("[name=email]", login["email"])
    page.fill("[name=password]", login["password"])
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    state = context.storage_state()
    context.close()
    return state


def take_portals(browser: Browser, facts: dict, base: str, theme: str, width: int, folder: Path) -> None:
    """A picture of each portal's home, of a list, and of the page of components."""
    cookies: dict[str, dict] = {}
    for who, path, name in PORTALS:
        if who not in cookies:
            cookies[who] = signed_in(browser, facts["logins"][who], base)
        context = browser.new_context(
            storage_state=cookies[who], viewport={"width": width, "height": 900}, color_scheme=theme
        )
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{base}{path}")
        page.wait_for_timeout(400)  # the chart is drawn after the page
        page.screenshot(path=folder / f"{name}-{theme}-{width}.png", full_page=name == "components")
        wide = page.evaluate("document.documentElement.scrollWidth")
        sys.stdout.write(f"{theme} {width}: {path} is {wide} px wide\n")
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--facts", type=Path, default=HERE.parents[1] / "var" / "demo.json")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--every", type=Path, help="every language and width, into this folder")
    arguments = parser.parse_args()
    facts = json.loads(arguments.facts.read_text())
    base = f"http://localhost:{arguments.port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=QUIET)
        if arguments.every is None:
            take(browser, facts, base, "en", 1280, HERE, both=False)
            (HERE / "portals").mkdir(exist_ok=True)
            for theme, width in (("light", 1280), ("dark", 1280), ("light", 320)):
                take_portals(browser, facts, base, theme, width, HERE / "portals")
        else:
            for language in ("ru", "en"):
                for width in (320, 1280):
                    take(browser, facts, base, language, width, arguments.every, both=True)


if __name__ == "__main__":
    main()
