"""The simulated customer: one payment page, from opening it to its end."""

from __future__ import annotations

from portal.simulator.browser import Browser, Page, Refused
from portal.simulator.plans import Fate, Plan, as_text


def look(browser: Browser, payment_url: str) -> Page:
    return browser.open(payment_url, "payment page")


def choose_method(browser: Browser, page: Page, plan: Plan) -> Page:
    """Where the method is open, take the first one that is offered, and a bank where one is asked for."""
    form = page.form_to("/method")
    if form is None:
        link = next((link for link in page.links if "method=" in link), None)
        if link is None:
            raise Refused("method: nothing on offer")
        page = browser.open(link, "payment page")
        form = page.form_to("/method")
    if form is None:
        raise Refused("method: no form")
    values = {
        name: found[plan.number % len(found)] for name, found in form.choices.items() if name != "csrf_token"
    }
    return browser.submit(page, form, "method", values)


def claim(browser: Browser, page: Page) -> Page:
    """Press "I have paid". Raises Refused when the page does not offer it."""
    form = page.form_to("/claim")
    if form is None:
        raise Refused("claim: not offered")
    return browser.submit(page, form, "claim", {"name": "IVAN PETROV"} if "name" in form.fields else None)


def cancel(browser: Browser, page: Page) -> Page:
    """Say that nothing was paid, and cancel there."""
    asked = browser.open(f"{page.url}/problem/not_paid", "problem page")
    form = asked.form_to("/cancellation")
    if form is None:
        raise Refused("cancel: not offered")
    return browser.submit(asked, form, "cancel")


def report_late(browser: Browser, page: Page, plan: Plan) -> Page:
    """The time is over and the money is sent: tell so on the page for that."""
    told = browser.open(f"{page.url}/problem/paid_late", "problem page")
    form = told.form_to("/problem/paid_late")
    if form is None:
        raise Refused("paid late: not offered")
    return browser.submit(told, form, "paid late", {"amount": as_text(plan.amount_minor)})


def agree(browser: Browser, page: Page) -> bool:
    """Say that the amount which the receiver reports was sent; False where nobody asks (any more)."""
    form = page.form_to("/agreement")
    if form is None:
        return False
    browser.submit(page, form, "agree to another amount")
    return True


def act(browser: Browser, page: Page, plan: Plan) -> Page:
    """What the customer does once the requisite is there."""
    if plan.fate is Fate.CANCELLED:
        return cancel(browser, page)
    if plan.fate in {Fate.PAID, Fate.PARTIAL, Fate.DISPUTED}:
        return claim(browser, page)
    return page
