"""What a shop was told of an order, on the order's page, and sending it again."""

from __future__ import annotations

import uuid

import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.core.ids import new_id, public_id
from portal.core.modes import Mode
from portal.identity.models import MemberRole, Role
from portal.orders.record import OrderRecord
from portal.webhooks.service import EndpointUrl, set_endpoint
from tests.web.desk import Browser, Desk, open_desk
from tests.web.test_homes import person


@pytest.fixture
def shop(in_context: Flask) -> Desk:
    return open_desk(in_context)


def told(desk: Desk, order: OrderRecord) -> uuid.UUID:
    """A delivery of the order that was given up after one answer."""
    with transaction():
        endpoint, _ = set_endpoint(
            desk.scene.store_id, Mode.LIVE, EndpointUrl("https://shop.example/secret-path")
        )
        event = hot("SELECT id FROM event WHERE subject_id = %(id)s", {"id": order.id})[0]["id"]
        delivery = new_id()
        hot(
            "INSERT INTO webhook_delivery (id, endpoint_id, event_id, state, attempts, done_at)"
            " VALUES (%(id)s, %(endpoint)s, %(event)s, 'dead', 1, now())",
            {"id": delivery, "endpoint": endpoint.id, "event": event},
        )
        hot(
            "INSERT INTO webhook_attempt (delivery_id, status_code, latency_ms, answer)"
            " VALUES (%(id)s, 502, 37, '<b>bad gateway</b>')",
            {"id": delivery},
        )
    return delivery


def page_of(order: OrderRecord, home: str) -> str:
    return f"/{home}/orders/{public_id('ord', order.id)}"


def resend(
    browser: Browser, order: OrderRecord, delivery: uuid.UUID, home: str, reason: str = "Shop asks"
) -> int:
    path = f"{page_of(order, home)}/deliveries/{delivery}/resending"
    return browser.post(path, {"reason": reason}, htmx=False).status_code


def state_of(delivery: uuid.UUID) -> str:
    with transaction():
        return str(hot("SELECT state FROM webhook_delivery WHERE id = %(id)s", {"id": delivery})[0]["state"])


def test_the_page_shows_what_the_shop_was_told_and_what_it_answered(shop: Desk) -> None:
    order = shop.payin(1500_00)
    told(shop, order)
    viewer = person(shop, Role.MERCHANT, member=MemberRole.VIEWER)
    for browser, home in ((viewer, "merchant"), (person(shop, Role.SUPPORT), "support")):
        page = browser.get(page_of(order, home)).text
        assert "order.matched" in page
        assert "&lt;b&gt;bad gateway&lt;/b&gt;" in page, "an answer is text"
        assert "shop.example" in page
        assert "secret-path" not in page
    assert "resending" not in viewer.get(page_of(order, "merchant")).text


@pytest.mark.parametrize("home", ["merchant", "support", "admin"])
def test_it_is_sent_again_for_a_reason_that_is_kept(shop: Desk, home: str) -> None:
    order = shop.payin(1500_00)
    delivery = told(shop, order)
    browser = person(shop, Role(home), member=MemberRole.DEVELOPER if home == "merchant" else None)
    assert f"{delivery}/resending" in browser.get(page_of(order, home)).text
    assert resend(browser, order, delivery, home, reason="") == 303
    assert state_of(delivery) == "dead", "not without a reason"
    assert [resend(browser, order, delivery, home) for _ in range(2)] == [303, 303]
    assert state_of(delivery) == "pending"
    with transaction():
        entries = hot(
            "SELECT DISTINCT reason FROM audit_entry WHERE action = 'webhook_delivery.resent' AND subject_id = %(id)s",
            {"id": str(order.id)},
        )
    assert entries == [{"reason": "Shop asks"}]


def test_nobody_sends_what_is_not_theirs(shop: Desk, stranger: Desk) -> None:
    order, other = shop.payin(1500_00), shop.payin(700_00)
    foreign = stranger.payin(1500_00)
    delivery, of_stranger = told(shop, order), told(stranger, foreign)
    owner = person(shop, Role.MERCHANT, member=MemberRole.OWNER)
    assert resend(owner, foreign, of_stranger, "merchant") == 404
    assert resend(owner, order, of_stranger, "merchant") == 404
    assert resend(owner, other, delivery, "merchant") == 404, "of another order"
    assert resend(person(shop, Role.MERCHANT, member=MemberRole.VIEWER), order, delivery, "merchant") == 403
    assert {state_of(delivery), state_of(of_stranger)} == {"dead"}
