"""What a shop is told of a real order, from the match to the settled ledger."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from portal.api.v1.event_schemas import EventOut
from portal.api.v1.orders_answers import OrderOut
from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.ids import public_id
from portal.core.modes import Mode
from portal.core.money import RATE_SCALE
from portal.orders.queries import get_order, requisite_number_of
from portal.orders.representation import order_object
from portal.orders.service.claim import claim_payin
from portal.orders.service.confirm import confirm_payin
from portal.reference.service import set_rate
from tests.scene import as_trader, build_scene
from tests.webhooks.conftest import Stage, settings_with
from tests.webhooks.receiver import receiver, wait_until
from tests.webhooks.test_sender import sending

pytestmark = pytest.mark.races


@pytest.fixture
def loopback_for_live(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    networks = (ip_network("127.0.0.0/8"),)
    with settings_with(monkeypatch, egress_allow_networks=networks, webhooks_allow_http=True):
        yield


@pytest.mark.proves("tried N5")
def test_the_events_of_one_change_are_told_apart_and_fit_the_schema(
    stage: Stage, loopback_for_live: None
) -> None:
    """Whoever takes over what is higher by (version, sequence) misses neither the amount nor the completion."""
    with transaction():
        set_rate("USDT", "RUB", 95 * RATE_SCALE, SYSTEM, force=True)
        scene = build_scene()
        trader = scene.trader()
        scene.requisite(trader)
    with receiver() as shop, sending(stage) as sender:
        _, secret = stage.endpoint(shop.url, store=scene.store_id, mode=Mode.LIVE)
        order = scene.payin()
        with transaction():
            done = confirm_payin(get_order(order.id, lock=True), 1499_00, actor=as_trader(trader))
        stage.relay()
        sender.wake()
        wait_until(lambda: len(shop.received) == 3)
    contents = [EventOut.model_validate_json(r.body) for r in shop.received if r.verified_by(secret)]
    told = sorted((c.version, c.sequence, c.type) for c in contents)
    assert told == [
        (1, 0, "order.matched"), (2, 0, "order.amount_changed"), (2, 1, "order.completed"),
    ]  # fmt: skip
    assert [c.data.version for c in contents if isinstance(c.data, OrderOut)] == [c.version for c in contents]
    assert done.version == 2


@pytest.mark.proves("tried S8")
def test_the_shop_can_follow_an_order_to_its_end_by_the_versions_alone(
    stage: Stage, loopback_for_live: None
) -> None:
    with transaction():
        set_rate("USDT", "RUB", 95 * RATE_SCALE, SYSTEM, force=True)
        scene = build_scene()
        trader = scene.trader()
        scene.requisite(trader)
    shown: list[dict[str, Any]] = []
    with receiver() as shop, sending(stage) as sender:
        endpoint, secret = stage.endpoint(shop.url, store=scene.store_id, mode=Mode.LIVE)
        order = scene.payin()
        number = requisite_number_of(order)
        shown.append(order_object(order))
        with transaction():
            claimed = claim_payin(get_order(order.id, lock=True), None, actor=CUSTOMER)
            shown.append(order_object(claimed))
        with transaction():
            done = confirm_payin(get_order(order.id, lock=True), None, actor=as_trader(trader))
            shown.append(order_object(done))
        stage.relay()
        sender.wake()
        wait_until(lambda: len(shop.received) == 3)
        wait_until(lambda: {d.state for d in stage.deliveries(endpoint)} == {"delivered"})
    contents = sorted((r.verified_by(secret) for r in shop.received), key=lambda c: c["data"]["version"])
    assert [c["type"] for c in contents] == ["order.matched", "order.claimed", "order.completed"]
    assert [c["data"] for c in contents] == shown
    assert {c["data"]["id"] for c in contents} == {public_id("ord", order.id)}
    assert not any(number.encode() in r.body or b"/pay/" in r.body for r in shop.received)
    kept = hot(
        "SELECT string_agg(data::text, '') AS data FROM event WHERE subject_id = %(id)s", {"id": order.id}
    )
    assert number not in kept[0]["data"]
    db.session.rollback()
