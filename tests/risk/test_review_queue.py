"""What risk decides at creation happens to the real order, and a person decides about those that wait."""

from __future__ import annotations

import uuid

import pytest
from flask import Flask

from portal.core.actors import SYSTEM, Actor, ActorKind
from portal.core.db import db, transaction
from portal.core.ids import public_id
from portal.ledger.models import AccountKind
from portal.orders.queries import get_order
from portal.reference.service import set_rate
from portal.risk import rule_changes
from portal.risk.models import RiskAction, RuleMode
from portal.risk.queries import decisions_of, list_waiting
from tests.scene import USDT, Customer, Scene, build_scene

ADMIN = Actor(ActorKind.ADMIN)
HOLD = 15_789_474  # 1,500.00 RUB at 95


@pytest.fixture
def scene(store_id: uuid.UUID) -> Scene:
    """A trader with 10,000 USDT who can take any amount."""
    with transaction():
        set_rate("USDT", "RUB", 95_000_000, SYSTEM, force=True)
        scene = build_scene()
    scene.requisite(scene.trader())
    return scene


def rule(action: RiskAction, address: str) -> None:
    with transaction():
        conditions = [{"fact": "ip", "op": "in_network", "value": [f"{address}/32"]}]
        rule_changes.add_rule("this address", conditions, action, ADMIN)
        rule_changes.set_mode("this address", RuleMode.ON, ADMIN)


def run(app: Flask, *command: str) -> str:
    result = app.test_cli_runner().invoke(args=["risk", *command])
    assert result.exit_code == 0, result.output
    db.session.rollback()
    return result.output


def test_a_denied_order_fails_at_once_and_moves_no_money(scene: Scene, address: str) -> None:
    rule(RiskAction.DENY, address)
    order = scene.payin(customer=Customer(id="c-1", ip=address))
    assert (order.status, order.status_reason, order.hold_minor) == ("failed", "declined", 0)
    assert order.requisite_id is None
    (kept,) = decisions_of(order.id)
    assert (kept.decision, kept.fired[0]["name"], kept.facts) == ("deny", "this address", {"ip": address})


def test_an_order_for_review_waits_and_goes_on_when_it_is_released(
    app: Flask, scene: Scene, address: str
) -> None:
    rule(RiskAction.REVIEW, address)
    order = scene.payin(customer=Customer(id="c-1", ip=address))
    assert (order.status, order.requisite_id, order.hold_minor) == ("review", None, 0)
    assert [waiting.reasons for waiting in list_waiting() if waiting.order_id == order.id] == [
        ("this address",)
    ]
    assert public_id("ord", order.id) in run(app, "queue")
    assert "awaiting_payment" in run(app, "release", public_id("ord", order.id))
    released = get_order(order.id)
    assert (released.status, released.hold_minor) == ("awaiting_payment", HOLD)
    again = app.test_cli_runner().invoke(args=["risk", "refuse", public_id("ord", order.id)])
    assert again.exit_code == 1
    assert get_order(order.id).status == "awaiting_payment"


def test_a_refused_payout_gives_back_what_it_held(app: Flask, scene: Scene, address: str) -> None:
    scene.fund_store(100 * USDT)
    rule(RiskAction.REVIEW, address)
    order = scene.payout(customer=Customer(ip=address))
    assert order.status == "review"
    assert scene.store_balance() == 100 * USDT - order.hold_minor
    assert "failed" in run(app, "refuse", public_id("ord", order.id))
    assert get_order(order.id).status == "failed"
    assert (scene.store_balance(), scene.store_balance(AccountKind.HELD)) == (100 * USDT, 0)
