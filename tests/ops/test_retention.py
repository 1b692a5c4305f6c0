"""Retention: people are forgotten after their time and not a day before; money and its story stay."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text

from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.errors import NotFound
from portal.core.files import get_files
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.ledger.integrity import run_checks
from portal.mail.models import MailKind
from portal.mail.service import queue_mail
from portal.orders.integrity.proof import CHECKS
from portal.orders.models import ReceiptKind
from portal.orders.queries import get_order
from portal.orders.receipts import add_receipt
from portal.orders.record import OrderRecord
from portal.orders.representation import order_object
from portal.orders.retention import forget_people, forget_receipts
from portal.orders.service import (
    accept_payout,
    cancel_order,
    claim_payin,
    claim_payout,
    confirm_payin,
    confirm_payout,
)
from portal.orders.service.claim import PayerDetails
from portal.orders.service.create import Customer
from portal.reference import setting_changes
from portal.traders.models import Requisite, Trader
from tests.scene import Scene, as_trader
from tests.web.desk import upload

PERSON = (
    "payer_encrypted", "customer_encrypted", "customer_ip", "recipient_number_encrypted",
    "recipient_number_index", "recipient_holder",
)  # fmt: skip
IVAN = Customer(id="c-1", name="Ivan Petrov", email="ivan@example.com", ip="198.51.100.7")


def known_of(order: OrderRecord) -> set[str]:
    now = get_order(order.id)
    return {name for name in PERSON if getattr(now, name) is not None}


def age(order: OrderRecord, days: int) -> None:
    """As if it had ended, or moved last, so long ago."""
    sql = """
    UPDATE orders SET updated_at = now() - :days * interval '1 day',
           ended_at = CASE WHEN ended_at IS NOT NULL THEN now() - :days * interval '1 day' END
     WHERE id = :id
    """
    db.session.execute(text(sql), {"days": days, "id": order.id})
    # What was told of the end says when it was.
    told = """
    UPDATE event v SET data = v.data || jsonb_build_object('updated_at', api_moment(o.ended_at)::jsonb)
      FROM orders o WHERE o.id = :id AND v.subject_id = o.id AND v.type LIKE '%.' || o.status AND o.ended_at IS NOT NULL
    """
    db.session.execute(text(told), {"id": order.id})


def paid_payin(scene: Scene, trader: Trader, amount: int) -> OrderRecord:
    order = scene.payin(amount, customer=IVAN)
    with transaction():
        locked = get_order(order.id, lock=True)
        add_receipt(locked, upload(amount % 97), ReceiptKind.PAYMENT, actor=CUSTOMER)
        claimed = claim_payin(locked, PayerDetails("Ivan", "1234", None, None), actor=CUSTOMER)
        confirm_payin(claimed, None, actor=as_trader(trader))
    return order


def paid_payout(scene: Scene, trader: Trader) -> OrderRecord:
    scene.fund_store()
    order = scene.payout(customer=IVAN)
    with transaction():
        taken = accept_payout(trader.id, order.id, actor=as_trader(trader))
        add_receipt(taken, upload(98), ReceiptKind.PAYOUT_PROOF, actor=as_trader(trader))
        confirm_payout(claim_payout(taken, actor=as_trader(trader)), actor=scene.merchant)
    return order


def flask(app: Flask) -> Result:
    return app.test_cli_runner().invoke(args=["retention", "run", "--json"])


def money() -> list[dict[str, Any]]:
    sql = "SELECT id, amount_minor, amount_received_minor, settlement_minor, fee_minor, status FROM orders ORDER BY id"
    return hot("SELECT account_id, amount FROM ledger_posting ORDER BY id") + hot(sql)


@pytest.mark.proves("ASVS 38")
def test_people_are_forgotten_after_their_time_and_the_money_stays(
    app: Flask, scene: Scene, trader: Trader, requisite: Requisite
) -> None:
    old, young = paid_payin(scene, trader, 1500_00), paid_payin(scene, trader, 1600_00)
    payout = paid_payout(scene, trader)
    for order, days in ((old, 366), (payout, 366), (young, 364)):
        age(order, days)
    before = money()
    said = json.loads(flask(app).stdout)
    assert said["forgotten"]["payers, customers and recipients"] == 2
    assert (known_of(old), known_of(payout)) == (set(), set())
    assert known_of(young) == {"payer_encrypted", "customer_encrypted", "customer_ip"}
    assert money() == before
    assert run_checks(CHECKS) == []
    shown = order_object(get_order(payout.id))
    assert shown["recipient"]["holder"] is None
    assert shown["recipient"]["number"].endswith(get_order(payout.id).recipient_masked[-4:])  # type: ignore[index]
    assert get_order(old.id).customer_ref == "c-1"


def test_the_events_of_a_forgotten_payout_name_nobody(
    app: Flask, scene: Scene, trader: Trader, requisite: Requisite
) -> None:
    payout = paid_payout(scene, trader)
    told = "SELECT data #>> '{recipient,holder}' AS holder FROM event WHERE subject_id = %(id)s ORDER BY id"
    named = [row["holder"] for row in hot(told, {"id": payout.id})]
    assert "IVAN P." in named
    flask(app)
    assert [row["holder"] for row in hot(told, {"id": payout.id})] == named
    age(payout, 400)
    flask(app)
    assert [row["holder"] for row in hot(told, {"id": payout.id})] == [None] * len(named)


def test_receipts_go_with_their_files_and_only_those_of_old_orders(
    app: Flask, scene: Scene, trader: Trader, requisite: Requisite
) -> None:
    old, young = paid_payin(scene, trader, 1500_00), paid_payin(scene, trader, 1600_00)
    age(old, 366)
    keys = {row["order_id"]: row["file_key"] for row in hot("SELECT order_id, file_key FROM receipt")}
    assert json.loads(flask(app).stdout)["forgotten"]["receipts"] == 1
    with pytest.raises(NotFound):
        get_files().read(keys[old.id])
    assert get_files().read(keys[young.id])
    assert [row["order_id"] for row in hot("SELECT order_id FROM receipt")] == [young.id]


def test_a_receipt_whose_file_is_gone_already_is_no_hindrance(
    app: Flask, scene: Scene, trader: Trader, requisite: Requisite
) -> None:
    age(paid_payin(scene, trader, 1500_00), 366)
    get_files().delete(hot("SELECT file_key FROM receipt")[0]["file_key"])
    assert sum(forget_receipts(365).steps) == 1
    assert hot("SELECT 1 FROM receipt") == []


def test_what_is_open_or_disputed_is_kept_however_old(
    app: Flask, scene: Scene, trader: Trader, requisite: Requisite
) -> None:
    running = scene.payin(1700_00, customer=IVAN)
    disputed = scene.payin(1500_00, customer=IVAN)
    with transaction():
        order = get_order(disputed.id, lock=True)
        add_receipt(order, upload(), ReceiptKind.PAYMENT, actor=CUSTOMER)
        order = claim_payin(order, PayerDetails("Ivan", None, None, None), actor=CUSTOMER)
        open_dispute(order, DisputeReason.NOT_CONFIRMED, None, None, actor=CUSTOMER)
    cancelled = scene.payin(1800_00, customer=IVAN)
    with transaction():
        cancel_order(get_order(cancelled.id, lock=True), None, actor=CUSTOMER)
    for order in (running, disputed, cancelled):
        age(order, 3000)
    assert sum(forget_people(365).steps) == 1
    assert known_of(running) == {"customer_encrypted", "customer_ip"}
    assert known_of(disputed) == {"payer_encrypted", "customer_encrypted", "customer_ip"}
    assert known_of(cancelled) == set()
    assert sum(forget_receipts(365).steps) == 0


def test_the_periods_are_settings_and_a_second_run_finds_nothing(
    app: Flask, scene: Scene, trader: Trader, requisite: Requisite
) -> None:
    order = paid_payin(scene, trader, 1500_00)
    age(order, 40)
    assert sum(json.loads(flask(app).stdout)["forgotten"].values()) == 0
    with transaction():
        setting_changes.set_value("retention_people_days", 35, SYSTEM)
    assert json.loads(flask(app).stdout)["forgotten"]["payers, customers and recipients"] == 1
    assert sum(json.loads(flask(app).stdout)["forgotten"].values()) == 0
    assert len(hot("SELECT 1 FROM receipt")) == 1


def test_many_orders_are_done_a_few_at_a_time(
    app: Flask, scene: Scene, trader: Trader, requisite: Requisite
) -> None:
    for amount in range(1500_00, 1505_00, 1_00):
        age(paid_payin(scene, trader, amount), 400)
    forgetting = forget_people(365, batch=2)
    assert (forgetting.total, list(forgetting.steps)) == (5, [2, 2, 1])


def test_mail_attempts_and_keys_go_and_the_audit_log_says_so(app: Flask, scene: Scene) -> None:
    with transaction():
        for day in (40, 1):
            mail = queue_mail(
                "anna@example.com", MailKind.PASSWORD_RESET, "en",
                {"expires_at": "2026-11-23T12:30:00+00:00", "link": "/reset/x"},
            )  # fmt: skip
            db.session.execute(
                text(
                    "UPDATE mail SET state = 'dead', done_at = now() - :day * interval '1 day' WHERE id = :id"
                ),
                {"day": day, "id": mail},
            )
            db.session.execute(
                text(
                    "INSERT INTO sign_in_attempt (email, ip, succeeded, at)"
                    " VALUES ('anna@example.com', '198.51.100.7', false, now() - :day * interval '1 day')"
                ),
                {"day": day},
            )
    result = flask(app)
    forgotten = json.loads(result.stdout)["forgotten"]
    assert (forgotten["mail"], forgotten["sign-ins"], result.exit_code) == (1, 1, 0)
    assert len(hot("SELECT 1 FROM mail")) == len(hot("SELECT 1 FROM sign_in_attempt")) == 1
    (entry,) = hot("SELECT after, actor_kind FROM audit_entry WHERE action = 'retention.run'")
    assert entry["actor_kind"] == "ops"
    assert entry["after"]["forgotten"] == {"mail": 1, "sign-ins": 1}
    assert entry["after"]["periods"]["retention_mail_days"] == 30
