"""What a merchant's member does to their store's orders on the page: cancelling, and confirming a payout."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.core.db import db, hot, transaction
from portal.core.ids import public_id
from portal.identity.models import MemberRole
from portal.merchants.models import Store
from portal.orders.models import ReceiptKind, Status
from portal.orders.queries import get_order
from portal.orders.receipts import add_receipt
from portal.orders.record import OrderRecord
from portal.orders.service import claim_payout
from tests.access.people import member
from tests.scene import as_trader
from tests.web.desk import Browser, Desk, open_desk, upload
from tests.web.orders.test_verbs import audited, seen, send, steps

SAID = "The bank says so"


@pytest.fixture
def world(in_context: Flask) -> Desk:
    return open_desk(in_context)


def member_of(world: Desk, role: MemberRole = MemberRole.OWNER) -> Browser:
    with transaction():
        user = member(db.session.get_one(Store, world.scene.store_id).merchant_id, role)
    browser = world.new_browser()
    browser.begin_session(user)
    browser.prove()
    return browser


def path_of(order: OrderRecord, verb: str = "") -> str:
    return f"/merchant/orders/{public_id('ord', order.id)}{'/' if verb else ''}{verb}"


def paid_payout(world: Desk) -> OrderRecord:
    order = world.payout(accepted=True)
    with transaction():
        locked = get_order(order.id, lock=True)
        add_receipt(locked, upload(), ReceiptKind.PAYOUT_PROOF, actor=as_trader(world.trader))
        claim_payout(get_order(order.id, lock=True), actor=as_trader(world.trader))
    return world.now(order)


def test_an_owner_cancels_what_nobody_paid_and_the_hold_goes_back(world: Desk) -> None:
    before, mia = world.balances(), member_of(world)
    order = world.payin(1500_00)
    assert "Cancel the order" in mia.get(path_of(order)).text
    assert send(mia, path_of(order, "cancellation")).location.endswith(path_of(order))
    assert world.now(order).status == Status.CANCELLED
    assert world.balances() == before
    assert audited(order) == [("order.cancelled", SAID)]
    page = mia.get(path_of(order)).text
    assert SAID in page
    assert "Cancel the order" not in page


def test_a_payout_is_confirmed_once_however_often_the_form_is_sent(world: Desk) -> None:
    order, mia = paid_payout(world), member_of(world)
    form = seen(mia.get(path_of(order, "confirmation")).text) | {"reason": SAID}
    for _ in range(2):
        assert mia.post(path_of(order, "confirmation"), form, htmx=False).status_code == 303
    assert world.now(order).status == Status.COMPLETED
    assert steps(order).count("confirmed") == 1
    assert set(world.ledger_sum(order).values()) == {0}
    assert audited(order) == [("order.confirmed", SAID)]


def test_a_payout_that_nobody_has_accepted_is_cancelled_and_the_balance_is_back(world: Desk) -> None:
    mia = member_of(world)
    order = world.payout()
    assert send(mia, path_of(order, "cancellation")).status_code == 303
    assert world.now(order).status == Status.CANCELLED
    assert set(world.ledger_sum(order).values()) == {0}


def test_what_the_life_of_an_order_does_not_allow_has_no_form(world: Desk) -> None:
    mia = member_of(world)
    claimed, accepted = world.payin(1500_00, claimed=True), world.payout(accepted=True)
    for order, verb in (
        (claimed, "cancellation"), (claimed, "confirmation"), (accepted, "cancellation"), (accepted, "confirmation"),
    ):  # fmt: skip
        assert mia.get(path_of(order, verb)).status_code == 409, verb
        form = {"version": str(world.now(order).version), "reason": SAID}
        assert mia.post(path_of(order, verb), form, htmx=False).status_code in {403, 409}
    assert world.now(claimed).status == Status.AWAITING_CONFIRMATION
    assert world.now(accepted).status == Status.AWAITING_PAYOUT


def test_a_viewer_and_another_merchant_do_nothing(world: Desk, in_context: Flask) -> None:
    order = world.payin(1500_00)
    viewer, stranger = member_of(world, MemberRole.VIEWER), member_of(open_desk(in_context))
    assert "Cancel the order" not in viewer.get(path_of(order)).text
    assert viewer.post(path_of(order, "cancellation"), {"reason": SAID}, htmx=False).status_code == 403
    assert stranger.get(path_of(order, "cancellation")).status_code == 404
    assert stranger.post(path_of(order, "cancellation"), {"reason": SAID}, htmx=False).status_code == 404
    assert world.now(order).status == Status.AWAITING_PAYMENT


def test_a_developer_cancels_and_does_not_confirm_payouts(world: Desk) -> None:
    dev, order = member_of(world, MemberRole.DEVELOPER), paid_payout(world)
    assert dev.post(path_of(order, "confirmation"), {"reason": SAID}, htmx=False).status_code == 403
    payin = world.payin(1500_00)
    assert send(dev, path_of(payin, "cancellation")).status_code == 303


def test_it_takes_a_reason_and_a_fresh_proof(world: Desk) -> None:
    mia, order = member_of(world), world.payin(1500_00)
    assert send(mia, path_of(order, "cancellation"), reason="").status_code == 422
    with transaction():
        hot(
            "UPDATE user_session SET proven_until = now() WHERE user_id IN"
            " (SELECT user_id FROM merchant_member m JOIN store s USING (merchant_id) WHERE s.id = %(id)s)",
            {"id": world.scene.store_id},
        )
    assert mia.get(path_of(order, "cancellation")).location.startswith("/sudo")
    assert mia.post(path_of(order, "cancellation"), {"reason": SAID}, htmx=False).location.startswith("/sudo")
    assert world.now(order).status == Status.AWAITING_PAYMENT


@pytest.mark.proves("tried S4")
def test_a_merchant_objects_to_a_payout_that_did_not_arrive_once_and_no_other_merchant(
    world: Desk, in_context: Flask
) -> None:
    mia, order = member_of(world), paid_payout(world)
    other = member_of(open_desk(in_context))
    said = {"reason": SAID, "about": "payout_not_received", "version": str(world.now(order).version)}
    assert other.get(path_of(order, "dispute")).status_code == 404
    assert other.post(path_of(order, "dispute"), said, htmx=False).status_code == 404
    assert world.now(order).status == Status.AWAITING_CONFIRMATION
    assert "open a dispute" in mia.get(path_of(order)).text
    form = seen(mia.get(path_of(order, "dispute")).text) | {"reason": SAID, "about": "payout_not_received"}
    for _ in range(2):
        assert mia.post(path_of(order, "dispute"), form, htmx=False).status_code == 303
    assert world.now(order).status == Status.DISPUTED
    assert audited(order) == [("order.disputed", SAID)]
    assert mia.post(path_of(order, "dispute"), form | {"about": "nonsense"}, htmx=False).status_code == 422
