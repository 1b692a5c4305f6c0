"""The pages of staff who are a party to the order that they look at: no action, and why; nor by its address."""

from __future__ import annotations

import html
import re

import pytest
from flask import Flask

from portal.approvals.service import propose
from portal.core.db import transaction
from portal.core.ids import public_id
from portal.identity.models import MemberRole, Role, User
from portal.identity.people.invitations import set_member
from portal.orders.above_tolerance import COMPLETION, CompletionPayload
from portal.orders.models import Status
from portal.orders.record import OrderRecord
from tests.access.people import acting
from tests.rows import change
from tests.web.desk import Browser, Desk, new_user, open_desk

pytestmark = pytest.mark.proves("tried S7")
OWN = {"en": "This order is your own", "ru": "Это ваша собственная заявка"}
VERBS = ("completion", "reassignment", "dispute", "cancellation")


@pytest.fixture
def world(in_context: Flask) -> Desk:
    return open_desk(in_context)


def signed_in(desk: Desk, user: User) -> Browser:
    browser = desk.new_browser()
    browser.begin_session(user)
    browser.prove()
    return browser


def as_the_trader(world: Desk, *, locale: str = "en") -> Browser:
    """An administrator who is the desk's trader as well."""
    pat = new_user(Role.ADMIN, Role.TRADER, locale=locale)
    change("UPDATE trader SET user_id = %(user)s WHERE id = %(id)s", {"user": pat.id, "id": world.trader.id})
    return signed_in(world, pat)


def at(order: OrderRecord, rest: str = "", home: str = "admin") -> str:
    return f"/{home}/orders/{public_id('ord', order.id)}{rest}"


@pytest.mark.parametrize("locale", OWN)
def test_the_page_offers_nothing_and_says_why(world: Desk, locale: str) -> None:
    order = world.payin(1500_00)
    page = html.unescape(as_the_trader(world, locale=locale).get(at(order)).text)
    assert OWN[locale] in page
    assert not any(at(order, f"/{verb}") in page for verb in VERBS)
    others = html.unescape(signed_in(world, new_user(Role.ADMIN, locale=locale)).get(at(order)).text)
    assert OWN[locale] not in others
    assert all(at(order, f"/{verb}") in others for verb in VERBS)


@pytest.mark.parametrize("verb", [*VERBS, "completion-request"])
def test_no_address_does_it_either(world: Desk, verb: str) -> None:
    order = world.payin(1500_00)
    pat, before = as_the_trader(world), world.balances()
    sent = {"version": str(order.version), "reason": "The bank says so", "amount": "100.00", "about": "other"}
    for answer in (pat.get(at(order, f"/{verb}")), pat.post(at(order, f"/{verb}"), sent, htmx=False)):
        assert answer.status_code == 403
        assert OWN["en"] in html.unescape(answer.text)
    now = world.now(order)
    assert (now.status, now.version, world.balances()) == (Status.AWAITING_PAYMENT, order.version, before)


def test_one_of_the_shops_people_acts_in_the_shops_portal_alone(world: Desk) -> None:
    mia = new_user(Role.SUPPORT, Role.MERCHANT)
    with transaction():
        set_member(mia.id, world.scene.store.merchant_id, MemberRole.OWNER)
    order, browser = world.payin(1500_00), signed_in(world, mia)
    assert browser.get(at(order, "/cancellation", "support")).status_code == 403
    path = at(order, "/cancellation", "merchant")
    version = re.findall(r'name="version" value="(\d+)"', browser.get(path).text)[0]
    done = browser.post(path, {"version": version, "reason": "They asked for it"}, htmx=False)
    assert (done.status_code, world.now(order).status) == (303, Status.CANCELLED)


def test_the_approval_is_not_offered_to_a_party_and_not_taken_from_them(world: Desk) -> None:
    order, ada = world.payin(153_00, claimed=True), new_user(Role.ADMIN)
    payload = CompletionPayload(order_id=order.id, received_minor=9000_00)
    with transaction():
        request_id = propose(COMPLETION, payload, "The statement", actor=acting(ada)).id
    pat, path = as_the_trader(world), f"/admin/approvals/{request_id}"
    page = html.unescape(pat.get(path).text)
    assert OWN["en"] in page
    assert 'id="decision"' not in page
    for decision in ("approve", "refuse"):
        sent = {"decision": decision, "seen": "", "reason": "I say so"}
        assert pat.post(f"{path}/decision", sent, htmx=False).status_code == 403
    assert 'id="decision"' in signed_in(world, new_user(Role.ADMIN)).get(path).text
    assert world.now(order).status == Status.AWAITING_CONFIRMATION
