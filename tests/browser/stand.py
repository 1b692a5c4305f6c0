"""A shop's customer with a phone, and one order in each state that a customer can meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask
from playwright.sync_api import Browser, BrowserContext

from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.db import hot, transaction
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.orders.service import cancel_order, claim_payin, confirm_payin
from portal.reference.snapshot import forget_all
from portal.risk import rule_changes
from portal.risk.models import RiskAction, RuleMode
from portal.web.pay.view import Screen
from tests.web.pay.customer import Customer, make_scene

PHONE = {"width": 320, "height": 640}


@dataclass
class Stand:
    """A shop's customer with a phone, and a server of our own."""

    app: Flask
    address: str
    browser: Browser
    new_order: Callable[..., Customer]

    def phone(self, **options: Any) -> BrowserContext:
        return self.browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, **options)  # type: ignore[arg-type]

    def url(self, customer: Customer, query: str = "") -> str:
        return f"{self.address}/pay/{customer.token}{query}"


def open_stand(app: Flask, chromium: Browser, site: str) -> Stand:
    scene = make_scene()
    scene.requisite(scene.trader())

    def new_order(amount_minor: int = 1500_00, **values: Any) -> Customer:
        order = scene.payin(amount_minor, return_url="https://shop.example/back?order=1", **values)
        return Customer(app.test_client(), order)

    return Stand(app, site, chromium, new_order)


def in_review(stand: Stand, amount_minor: int) -> Customer:
    """An order that a rule has set aside; the rule is gone again."""
    conditions = [{"fact": "amount", "op": "gt", "value": "1.00"}]
    with transaction():
        rule_changes.add_rule("watch this one", conditions, RiskAction.REVIEW, SYSTEM)
        rule_changes.set_mode("watch this one", RuleMode.ON, SYSTEM)
    forget_all()
    try:
        return stand.new_order(amount_minor, locale="en")
    finally:
        with transaction():
            rule_changes.set_mode("watch this one", RuleMode.OFF, SYSTEM)
            hot("DELETE FROM risk_rule WHERE name = 'watch this one'")
        forget_all()


def states(stand: Stand) -> dict[str, str]:
    """One order in each state a customer can meet, by address."""
    amounts = iter(range(2000_00, 3000_00, 100))

    def made(verb: Any = None, *args: Any, **options: Any) -> Customer:
        customer = stand.new_order(next(amounts), locale="en")
        if verb is not None:
            customer.drive(verb, *args, **options)
        return customer

    expired = made()
    expired.run_out()
    pay, claimed = made(), made(claim_payin, None, actor=CUSTOMER)
    looking = stand.new_order(next(amounts), bank="tbank", locale="en")  # nobody has one there
    failed = stand.new_order(next(amounts), bank="tbank", locale="en")
    failed.run_out()
    undecided = stand.new_order(next(amounts), method=None, locale="en")
    customers = {
        "pay": pay, "checking": claimed, "expired": expired, "looking": looking, "failed": failed,
        "done": made(confirm_payin, None, actor=SYSTEM), "choose": undecided,
        "agree": made(confirm_payin, 1000_00, actor=SYSTEM),
        "cancelled": made(cancel_order, None, actor=CUSTOMER),
        "disputed": made(open_dispute, DisputeReason.OTHER, None, None, actor=CUSTOMER),
        "review": in_review(stand, next(amounts)),
    }  # fmt: skip
    assert set(customers) >= set(Screen)
    found = {name: stand.url(customer) for name, customer in customers.items()}
    found |= {
        f"problem{path}": stand.url(pay, f"/problem{path}")
        for path in ("", "/not_paid", "/other_amount", "/wrong_requisite")
    }
    found["problem/paid_late"] = stand.url(expired, "/problem/paid_late")
    found["problem/not_confirmed"] = stand.url(claimed, "/problem/not_confirmed")
    found["banks"] = stand.url(undecided, "?method=card")
    found["unknown"] = f"{stand.address}/pay/{'z' * 26}"
    with transaction():
        assert failed.now().status == "failed"
    return found
