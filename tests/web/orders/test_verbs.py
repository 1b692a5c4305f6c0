"""What staff do to an order on its page: rows, ledger sums, the audit log, and never twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from portal.core.actors import SYSTEM, Actor, ActorKind
from portal.core.db import db, hot, transaction
from portal.core.ids import public_id
from portal.identity.models import MemberRole, Role
from portal.merchants.models import Store
from portal.orders.models import ReceiptKind, Status
from portal.orders.queries import get_order
from portal.orders.receipts import add_receipt
from portal.orders.record import OrderRecord
from portal.orders.representation import order_object
from portal.orders.service import claim_payout
from portal.reference.snapshot import forget_all
from portal.risk import rule_changes
from portal.risk.models import RiskAction, RuleMode
from tests.access.people import member
from tests.scene import as_trader
from tests.web.auth.people import code_of, forget_used_codes
from tests.web.desk import Browser, Desk, new_user, open_desk, upload


@pytest.fixture
def world(in_context: Flask) -> Desk:
    return open_desk(in_context)


@pytest.fixture
def ada(world: Desk) -> Browser:
    return signed_in(world, Role.ADMIN)


@pytest.fixture
def sue(world: Desk) -> Browser:
    return signed_in(world, Role.SUPPORT)


@pytest.fixture
def set_aside(world: Desk) -> Iterator[OrderRecord]:
    """A payin that a rule has set aside."""
    admin = Actor(ActorKind.ADMIN)
    with transaction():
        conditions = [{"fact": "amount", "op": "gt", "value": "1.00"}]
        rule_changes.add_rule("watch everybody", conditions, RiskAction.REVIEW, admin)
        rule_changes.set_mode("watch everybody", RuleMode.ON, admin)
    order = world.scene.payin(1500_00)
    assert order.status == Status.REVIEW
    yield order
    with transaction():
        rule_changes.set_mode("watch everybody", RuleMode.OFF, SYSTEM)
        hot("DELETE FROM risk_rule")
    forget_all()


def signed_in(desk: Desk, role: Role) -> Browser:
    browser = desk.new_browser()
    assert browser.sign_in(new_user(role).email).status_code == 303
    browser.prove()
    return browser


def add_app(browser: Browser) -> str:
    """As a person does it; the secret of the new authenticator app."""
    browser.post("/account/security/app/proposal", htmx=False)
    secret = browser.get("/account/security/app").text.split('id="app-key">')[1].split("<")[0]
    assert browser.post("/account/security/app", {"code": code_of(secret)}, htmx=False).status_code == 200
    browser.read_token("/account")
    return secret


def path_of(order: OrderRecord, verb: str, home: str = "admin") -> str:
    return f"/{home}/orders/{public_id('ord', order.id)}/{verb}"


def send(browser: Browser, path: str, **fields: Any) -> Any:
    """Open the form as a person does, and send it."""
    page = browser.get(path)
    assert page.status_code == 200, page.status
    return browser.post(path, seen(page.text) | {"reason": "The bank says so"} | fields, htmx=False)


def seen(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(version|agreed_minor)" value="([^"]*)"', page))


def audited(order: OrderRecord) -> list[tuple[str, str | None]]:
    sql = "SELECT action, reason FROM audit_entry WHERE subject_id = %(id)s ORDER BY id"
    with transaction():
        return [(row["action"], row["reason"]) for row in hot(sql, {"id": str(order.id)})]


def steps(order: OrderRecord) -> list[str]:
    sql = "SELECT event FROM order_event WHERE order_id = %(id)s ORDER BY id"
    with transaction():
        return [row["event"] for row in hot(sql, {"id": order.id})]


def test_an_administrator_completes_a_payin_in_another_amount_after_agreeing_to_it(
    world: Desk, ada: Browser
) -> None:
    order = world.payin(1500_00, claimed=True)
    path = path_of(order, "completion")
    asked = send(ada, path, amount="1 400,50")
    assert asked.status_code == 200
    assert "1,400.50" in asked.text
    assert world.now(order).status == Status.AWAITING_CONFIRMATION, "nothing is done before they agree"
    done = ada.post(path, seen(asked.text) | {"reason": "The bank says so", "amount": "1400.50"}, htmx=False)
    assert done.status_code == 303
    now = world.now(order)
    assert (now.status, now.amount_received_minor) == (Status.COMPLETED, 1400_50)
    assert world.ledger_sum(order) == {"RUB": 0, "USDT": 0}
    assert world.balances()[1:] == (0, 1400_50)
    assert audited(order) == [("order.confirmed", "The bank says so")]


def test_a_late_payment_is_completed_by_staff_and_takes_the_hold_anew(world: Desk, ada: Browser) -> None:
    order = world.expired(1500_00)
    assert send(ada, path_of(order, "completion")).status_code == 303
    assert world.now(order).status == Status.COMPLETED
    assert steps(order)[-1] == "confirmed_late"
    assert world.ledger_sum(order) == {"RUB": 0, "USDT": 0}
    assert world.balances()[1:] == (0, 1500_00)


def test_support_cancels_what_nobody_paid_and_hold_and_limits_go_back(world: Desk, sue: Browser) -> None:
    before = world.balances()
    order = world.payin(1500_00)
    answer = send(sue, path_of(order, "cancellation", "support"))
    assert answer.location.endswith(f"/support/orders/{public_id('ord', order.id)}")
    assert world.now(order).status == Status.CANCELLED
    assert world.balances() == before
    assert audited(order) == [("order.cancelled", "The bank says so")]


def test_a_second_click_does_nothing_twice(world: Desk, sue: Browser) -> None:
    """Each form is sent again as it was; what was done by this person stands, and is not done again."""
    other = world.scene.trader()
    world.scene.requisite(other)
    with transaction():
        hot("DELETE FROM store_traffic WHERE store_id = %(id)s", {"id": world.scene.store_id})
    from portal.merchants.queries import stores

    stores.forget()
    order = world.payin(1500_00)
    path = path_of(order, "reassignment", "support")
    form = seen(sue.get(path).text) | {"reason": "The trader fell ill"}
    assert [sue.post(path, form, htmx=False).status_code for _ in range(2)] == [303, 303]
    assert steps(order).count("declined") == 1
    assert world.ledger_sum(order) == {"USDT": 0}


@pytest.mark.proves("tried C6")
def test_giving_an_order_to_another_trader_is_written_down_with_its_reason(world: Desk, sue: Browser) -> None:
    order = world.payin(1500_00)
    assert send(sue, path_of(order, "reassignment", "support")).status_code == 303
    assert audited(order) == [("order.declined", "The bank says so")]


@pytest.mark.proves("ASVS 3")
def test_a_form_about_an_order_that_has_changed_meanwhile_does_nothing(world: Desk, sue: Browser) -> None:
    order = world.payin(1500_00)
    path = path_of(order, "cancellation", "support")
    form = seen(sue.get(path).text) | {"reason": "By mistake"}
    world.claim(order)
    answer = sue.post(path, form, htmx=False)
    assert answer.status_code == 409
    assert "changed meanwhile" in answer.text
    assert world.now(order).status == Status.AWAITING_CONFIRMATION
    assert audited(order) == []


@pytest.mark.parametrize(
    ("outcome", "status"), [("completed", Status.COMPLETED), ("cancelled", Status.CANCELLED)]
)
def test_a_dispute_is_opened_by_support_and_decided_by_an_administrator(
    world: Desk, ada: Browser, sue: Browser, outcome: str, status: Status
) -> None:
    before = world.balances()
    order = world.payin(1500_00, claimed=True)
    opened = send(sue, path_of(order, "dispute", "support"), about="paid_another_amount", amount="1490")
    assert opened.status_code == 303
    assert world.now(order).status == Status.DISPUTED
    form = seen(ada.get(path_of(order, "decision")).text) | {"reason": "Statement seen", "outcome": outcome}
    codes = [ada.post(path_of(order, "decision"), form, htmx=False).status_code for _ in range(2)]
    assert codes == [303, 303]
    assert world.now(order).status == status
    with transaction():
        [case] = hot("SELECT * FROM dispute WHERE order_id = %(id)s", {"id": order.id})
    assert (case["claimed_minor"], case["words"], case["outcome"]) == (1490_00, "The bank says so", outcome)
    assert world.ledger_sum(order) == ({"RUB": 0, "USDT": 0} if outcome == "completed" else {"USDT": 0})
    assert (world.balances() == before) == (outcome == "cancelled")
    assert [action for action, _ in audited(order)] == ["order.disputed", f"order.decided_{outcome}"]
    assert "The bank says so" in ada.get(path_of(order, "x").removesuffix("/x")).text


def test_support_by_itself_neither_completes_nor_decides(world: Desk, sue: Browser) -> None:
    order = world.payin(1500_00, claimed=True)
    page = sue.get(path_of(order, "x", "support").removesuffix("/x")).text
    assert path_of(order, "completion", "support") not in page
    assert path_of(order, "dispute", "support") in page
    for verb, permission in (("completion", "order:complete"), ("decision", "dispute:decide")):
        answer = sue.post(path_of(order, verb, "support"), {"reason": "I want to"}, htmx=False)
        assert answer.status_code == 403
        assert permission in answer.text
    assert world.now(order).status == Status.AWAITING_CONFIRMATION


@pytest.mark.parametrize("fields", [{"reason": ""}, {"amount": "12.345"}, {"amount": "lots"}])
def test_what_is_wrong_with_a_form_is_said_beside_the_field_and_nothing_is_done(
    world: Desk, ada: Browser, fields: dict[str, str]
) -> None:
    order = world.payin(1500_00, claimed=True)
    answer = send(ada, path_of(order, "completion"), **fields)
    assert answer.status_code == 422
    assert "field-problem" in answer.text
    assert world.now(order).status == Status.AWAITING_CONFIRMATION


def test_what_does_not_fit_the_order_has_no_form(world: Desk, ada: Browser) -> None:
    order = world.payin(1500_00, claimed=True)
    assert ada.get(path_of(order, "decision")).status_code == 409
    assert ada.get(path_of(order, "cancellation")).status_code == 409
    assert path_of(order, "cancellation") not in ada.get(path_of(order, "x").removesuffix("/x")).text


@pytest.mark.proves("ASVS 33")
def test_what_moves_money_wants_a_fresh_proof(world: Desk, ada: Browser) -> None:
    order = world.payin(1500_00, claimed=True)
    with transaction():
        hot("UPDATE user_session SET proven_until = now()")
    for verb in ("completion", "cancellation", "decision", "reassignment", "release", "refusal"):
        answer = ada.post(path_of(order, verb), {"reason": "I want to"}, htmx=False)
        assert answer.status_code == 303, verb
        assert answer.location.startswith("/sudo"), verb
        assert ada.get(path_of(order, verb)).location.startswith("/sudo"), verb
    assert world.now(order).status == Status.AWAITING_CONFIRMATION


@pytest.mark.proves("tried S7")
def test_having_just_signed_in_or_added_a_factor_is_no_proof_for_what_moves_money(world: Desk) -> None:
    order = world.payin(1500_00, claimed=True)
    person, browser = new_user(Role.ADMIN), world.new_browser()
    assert browser.sign_in(person.email).status_code == 303
    assert browser.get(path_of(order, "completion")).location.startswith("/sudo")
    secret = add_app(browser)
    forget_used_codes(person)
    answer = browser.post(path_of(order, "completion"), {"reason": "it came"}, htmx=False)
    assert answer.location.startswith("/sudo")
    assert world.now(order).status == Status.AWAITING_CONFIRMATION
    assert browser.post("/sudo", {"code": code_of(secret)}, htmx=False).status_code == 303
    browser.read_token("/account")
    assert send(browser, path_of(order, "completion")).status_code == 303
    assert world.now(order).status == Status.COMPLETED


def test_a_payout_is_completed_and_cancelled_as_it_stands(world: Desk, ada: Browser) -> None:
    waiting = world.payout(2000_00)
    assert send(ada, path_of(waiting, "cancellation")).status_code == 303
    assert world.now(waiting).status == Status.CANCELLED
    assert world.ledger_sum(waiting) == {"USDT": 0}
    paid = world.payout(3000_00, accepted=True)
    with transaction():
        locked = get_order(paid.id, lock=True)
        add_receipt(locked, upload(1), ReceiptKind.PAYOUT_PROOF, actor=as_trader(world.trader))
        claim_payout(locked, actor=as_trader(world.trader))
    assert send(ada, path_of(paid, "completion")).status_code == 303
    assert world.now(paid).status == Status.COMPLETED
    assert world.ledger_sum(paid) == {"RUB": 0, "USDT": 0}


@pytest.mark.parametrize(
    ("verb", "status"), [("release", Status.AWAITING_PAYMENT), ("refusal", Status.FAILED)]
)
def test_what_risk_set_aside_is_let_through_or_refused(
    world: Desk, sue: Browser, set_aside: OrderRecord, verb: str, status: Status
) -> None:
    page = sue.get(path_of(set_aside, "x", "support").removesuffix("/x")).text
    assert "Set aside for review" in page
    assert "watch everybody" in page
    assert send(sue, path_of(set_aside, verb, "support")).status_code == 303
    now = world.now(set_aside)
    assert now.status == status
    assert now.status_reason == ("declined" if verb == "refusal" else None), "why is not for the shop"
    assert "The bank says so" in [reason for _, reason in audited(set_aside)]


def test_who_types_a_reason_is_told_that_the_shop_reads_it_and_so_it_is(world: Desk, ada: Browser) -> None:
    """In the order's timeline, and where its programs look."""
    order = world.payin(1500_00, claimed=True)
    assert "The shop can read it" in ada.get(path_of(order, "completion")).text
    assert send(ada, path_of(order, "completion")).status_code == 303
    assert order_object(world.now(order))["status_reason"] == "The bank says so"
    with transaction():
        merchant_id = db.session.get_one(Store, world.scene.store_id).merchant_id
        mia = member(merchant_id, MemberRole.OWNER)
    browser = world.new_browser()
    browser.begin_session(mia)
    assert "The bank says so" in browser.get(f"/merchant/orders/{public_id('ord', order.id)}").text


def test_why_a_reviewed_order_is_refused_is_not_for_the_shop(
    world: Desk, ada: Browser, set_aside: OrderRecord
) -> None:
    assert "the shop does not read it" in ada.get(path_of(set_aside, "refusal")).text
    assert send(ada, path_of(set_aside, "refusal")).status_code == 303
    assert order_object(world.now(set_aside))["status_reason"] == "declined"
