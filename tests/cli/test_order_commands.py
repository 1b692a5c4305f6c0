"""`flask orders`: what support does without a portal, and why an order was matched or not."""

from __future__ import annotations

import json
import uuid

import pytest
from click.testing import Result
from flask import Flask

from portal.core.actors import CUSTOMER
from portal.core.db import transaction
from portal.core.ids import public_id
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.ledger.models import AccountKind
from portal.orders.models import Status
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from tests.scene import Scene, build_scene, counters


@pytest.fixture
def scene(app: Flask) -> Scene:
    with transaction():
        return build_scene()


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["orders", *arguments])


def name(order: OrderRecord) -> str:
    return public_id("ord", order.id)


def test_show_has_the_order_and_its_timeline_but_not_the_requisites_number(app: Flask, scene: Scene) -> None:
    scene.requisite(scene.trader())
    order = scene.payin()
    shown = json.loads(run(app, "show", name(order), "--json").output)
    assert (shown["id"], shown["status"]) == (name(order), "awaiting_payment")
    assert [step["event"] for step in shown["timeline"]] == ["created", "matched"]
    assert "•" in shown["requisite"]["number"]


def test_explain_counts_what_turns_requisites_away(app: Flask, scene: Scene) -> None:
    scene.requisite(scene.trader(), max_amount=1000_00)
    scene.requisite(scene.trader(deposit_minor=0))
    scene.requisite(scene.trader(working=False))
    order = scene.payin(1500_00)
    assert order.status == Status.MATCHING
    now = json.loads(run(app, "explain", name(order), "--json").output)["now"]
    assert (now["requisites"], now["would_fit"]) == (3, 0)
    assert now["amount"] == 1
    assert now["deposit"] == 1
    assert now["trader_not_working"] == 1


def test_explain_says_who_was_taken(app: Flask, scene: Scene) -> None:
    requisite = scene.requisite(scene.trader())
    order = scene.payin()
    assert public_id("req", requisite.id) in run(app, "explain", name(order)).output


def test_try_finds_a_requisite_and_reserves_nothing(app: Flask, scene: Scene) -> None:
    requisite = scene.requisite(scene.trader())
    before = counters(requisite)
    store = public_id("st", scene.store_id)
    result = run(
        app, "try", "--store", store, "--amount", "1500.00", "--currency", "RUB", "--method", "card", "--json"
    )
    assert json.loads(result.output)["search"]["taken"]["requisite"] == str(requisite.id)
    assert counters(requisite) == before


def test_complete_with_another_amount_pays_for_that_amount(app: Flask, scene: Scene) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin(1500_00)
    assert run(app, "complete", name(order), "--amount", "1400.00").exit_code == 0
    done = get_order(order.id)
    assert (done.status, done.amount_received_minor) == (Status.COMPLETED, 1400_00)
    assert scene.trader_balance(trader, AccountKind.FIAT) == 1400_00


def test_cancel_gives_everything_back_and_a_second_time_is_refused_in_words(app: Flask, scene: Scene) -> None:
    trader = scene.trader()
    requisite = scene.requisite(trader)
    before = scene.trader_balance(trader), counters(requisite)
    order = scene.payin()
    assert run(app, "cancel", name(order), "--reason", "asked").exit_code == 0
    assert (scene.trader_balance(trader), counters(requisite)["open_orders"]) == (before[0], 0)
    refused = run(app, "complete", name(order))
    assert refused.exit_code == 1
    assert "cancelled" in refused.output


def test_a_dispute_is_decided_with_a_reason(app: Flask, scene: Scene) -> None:
    scene.requisite(scene.trader())
    order = scene.payin()
    with transaction():
        open_dispute(get_order(order.id, lock=True), DisputeReason.OTHER, "?", None, actor=CUSTOMER)
    arguments = ("dispute", "resolve", name(order), "--outcome", "cancelled")
    assert run(app, *arguments).exit_code == 2
    assert run(app, *arguments, "--reason", "no money came").exit_code == 0
    assert get_order(order.id).status == Status.CANCELLED


def test_what_is_not_an_order_is_said_so(app: Flask) -> None:
    assert run(app, "show", "ord_nonsense").exit_code == 2
    assert run(app, "show", public_id("ord", uuid.uuid4())).exit_code == 1
