"""Blocking merchants and traders over HTTP: who is refused, what goes on, and what is written down."""

from __future__ import annotations

import uuid

import pytest

from portal.core.db import db, transaction
from portal.core.ids import public_id
from portal.core.modes import Mode
from portal.identity.models import Role, Scope, User
from portal.identity.people.models import MerchantMember
from portal.identity.tokens.api_keys import issue_api_key
from portal.merchants.models import Store
from portal.orders.models import Status
from tests.web.admin.office import Office, column
from tests.web.auth.people import forget_proof
from tests.web.desk import PASSWORD, Browser, Desk, new_user, path_of

PAYIN = {"direction": "payin", "amount": "1500.00", "currency": "RUB", "method": "card"}
READY = "SELECT bool_or(trader_payin_on OR trader_payout_on) FROM requisite WHERE trader_id = %(id)s"
OFF = {"reason": "Chargebacks"}


def merchant_of(desk: Desk) -> uuid.UUID:
    with transaction():
        return db.session.get_one(Store, desk.scene.store_id).merchant_id


def member_of(desk: Desk) -> User:
    user = new_user(Role.MERCHANT)
    with transaction():
        db.session.add(MerchantMember(merchant_id=merchant_of(desk), user_id=user.id))
    return user


def key_of(desk: Desk) -> str:
    with transaction():
        return issue_api_key(desk.scene.store_id, Mode.LIVE, "Shop", [Scope.ORDERS_READ, Scope.ORDERS_WRITE])[
            1
        ]


def call(
    desk: Desk, method: str, path: str, bearer: str, body: dict[str, str] | None = None
) -> tuple[int, str]:
    """Status and code of what a program of the merchant is answered."""
    with desk.app.app_context():
        headers = {"Authorization": f"Bearer {bearer}", "Idempotency-Key": uuid.uuid4().hex}
        answer = desk.app.test_client().open(path, method=method, headers=headers, json=body)
    return answer.status_code, (answer.json or {}).get("code", "")


def token(desk: Desk, **body: str) -> tuple[int, dict[str, str]]:
    with desk.app.app_context():
        answer = desk.app.test_client().post("/merchant/auth/token", json=body)
    return answer.status_code, dict(answer.json or {})


def test_a_blocked_merchants_programs_are_refused_by_every_road(office: Office, desk: Desk) -> None:
    key, user, path = key_of(desk), member_of(desk), f"/admin/merchants/{merchant_of(desk)}"
    by_key = token(desk, grant_type="client_credentials", client_secret=key)[1]
    by_password = token(desk, grant_type="password", email=user.email, password=PASSWORD)[1]
    assert call(desk, "GET", "/api/v1/orders", key)[0] == 200
    assert office.post(f"{path}/block", OFF, htmx=False).status_code == 303
    for bearer in (key, by_key["access_token"], by_password["access_token"]):
        assert call(desk, "POST", "/api/v1/orders", bearer, PAYIN) == (403, "store_closed")
        assert call(desk, "GET", "/api/v1/orders", bearer) == (403, "store_closed")
    asked = (
        {"grant_type": "client_credentials", "client_secret": key},
        {"grant_type": "password", "email": user.email, "password": PASSWORD},
        {"grant_type": "refresh_token", "refresh_token": by_key["refresh_token"]},
        {"grant_type": "refresh_token", "refresh_token": by_password["refresh_token"]},
    )
    for body in asked:
        status, answer = token(desk, **body)
        assert (status, answer["code"]) == (403, "store_closed"), (body["grant_type"], answer)
    assert office.post(f"{path}/unblock", {"reason": "Settled"}, htmx=False).status_code == 303
    assert call(desk, "POST", "/api/v1/orders", key, PAYIN)[0] == 201
    expected = [("merchant.blocked", "Chargebacks"), ("merchant.unblocked", "Settled")]
    assert office.audited(merchant_of(desk))[-2:] == expected


def test_members_of_a_blocked_merchant_sign_in_and_read_and_running_orders_finish(
    office: Office, desk: Desk
) -> None:
    order, user = desk.payin(), member_of(desk)
    office.post(f"/admin/merchants/{merchant_of(desk)}/block", OFF, htmx=False)
    browser = Browser(desk.app.test_client())
    assert browser.sign_in(user.email).status_code == 303
    assert public_id("ord", order.id) in browser.get("/merchant/orders").get_data(as_text=True)
    desk.claim(order)
    desk.browser.post(path_of(order, "confirmation"))
    assert desk.now(order).status == Status.COMPLETED
    assert set(desk.ledger_sum(order).values()) == {0}


def test_a_blocked_trader_is_offline_gets_nothing_new_and_finishes_what_runs(
    office: Office, desk: Desk
) -> None:
    running, path = desk.payin(claimed=True), f"/admin/traders/{desk.trader.id}"
    assert "1 order that runs goes on" in office.browser.get(path).get_data(as_text=True)
    assert office.post(f"{path}/block", OFF, htmx=False).status_code == 303
    assert column(READY, id=desk.trader.id) == [False]
    assert desk.scene.payin(1700_00).status == Status.MATCHING
    offered = desk.payout()
    assert desk.browser.post(path_of(offered, "acceptance")).status_code in {404, 409}
    desk.browser.post(path_of(running, "confirmation"))
    assert desk.now(running).status == Status.COMPLETED
    assert "Chargebacks" in desk.browser.get("/trader/queue").get_data(as_text=True)
    # Their own switch does not let them in again.
    desk.browser.post("/trader/working", {"working": "on"})
    assert column(READY, id=desk.trader.id) == [False]
    assert office.post(f"{path}/unblock", {"reason": "Talked"}, htmx=False).status_code == 303
    assert column(READY, id=desk.trader.id) == [True]
    expected = [("trader.blocked", "Chargebacks"), ("trader.unblocked", "Talked")]
    assert office.audited(desk.trader.id)[-2:] == expected
    page = office.browser.get(path).get_data(as_text=True)
    assert "Trader blocked" in page
    assert f"{office.ada.name}: Chargebacks" in page


@pytest.mark.parametrize("kind", ["traders", "merchants"])
def test_blocking_takes_a_reason_a_fresh_proof_and_happens_once(
    office: Office, desk: Desk, kind: str
) -> None:
    thing = desk.trader.id if kind == "traders" else merchant_of(desk)
    path = f"/admin/{kind}/{thing}"
    assert office.post(f"{path}/block", {"reason": ""}).status_code == 422
    assert office.post(f"{path}/unblock", OFF).status_code == 409
    assert office.post(f"{path}/block", OFF, htmx=False).status_code == 303
    assert office.post(f"{path}/block", OFF).status_code == 409
    assert office.post(f"/admin/{kind}/{uuid.uuid4()}/block", OFF).status_code == 404
    forget_proof(office.ada)
    answer = office.post(f"{path}/unblock", OFF, htmx=False)
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, "/sudo")
    assert len([row for row in office.audited(thing) if row[0].endswith("blocked")]) == 1
