"""The README's pictures, taken from a running demo: `make screens` while `make demo` runs."""

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
    page.click("main button[type=submit]")
    page.goto(f"{base}/trader/queue")
    page.screenshot(path=folder / f"queue{suffix}.png", full_page=both)
    wide = page.evaluate("document.documentElement.scrollWidth")
    sys.stdout.write(f"{language} {width}: {page.url} is {wide} px wide\n")
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
        else:
            for language in ("ru", "en"):
                for width in (320, 1280):
                    take(browser, facts, base, language, width, arguments.every, both=True)


if __name__ == "__main__":
    main()
