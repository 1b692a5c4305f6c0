"""The proof finds nothing in what was lawfully not told, wherever clocks were moved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from portal.audit.chain_sealing import seal_all
from portal.core.db import hot, transaction
from portal.core.modes import Mode
from portal.events.relay import relay_events
from portal.ledger.integrity import run_checks
from portal.orders.integrity.checks import CHECKS
from portal.orders.record import OrderRecord
from portal.webhooks.fanout import create_deliveries
from portal.webhooks.models import WebhookEndpoint
from portal.webhooks.service import EndpointUrl, disable_endpoint, enable_endpoint, set_endpoint
from tests.rows import change
from tests.scene import Scene

HOUR = timedelta(hours=1)


def endpoint_of(scene: Scene, types: Sequence[str] | None = None) -> WebhookEndpoint:
    with transaction():
        return set_endpoint(scene.store_id, Mode.LIVE, EndpointUrl("https://shop.example/hook"), types)[0]


def hand_on() -> None:
    while relay_events(create_deliveries):
        pass


def matched(scene: Scene, database_ahead: timedelta) -> OrderRecord:
    """An order, which its store is to be told of, made while the database's clock was ahead."""
    scene.requisite(scene.trader())
    order = scene.payin()
    change(
        "UPDATE event SET created_at = created_at + %(by)s WHERE subject_id = %(id)s",
        {"by": database_ahead, "id": order.id},
    )
    return order


def seal_at(ahead: timedelta) -> None:
    """Everything, by a machine whose clock is ahead."""
    with time_machine.travel(datetime.now(UTC) + ahead):
        seal_all()


def found() -> list[str]:
    with transaction():
        return [example for finding in run_checks(CHECKS) for example in finding.examples]


@pytest.mark.parametrize("sealer_ahead", [timedelta(0), 2 * HOUR], ids=["database's", "all"])
def test_what_came_before_an_endpoint_by_a_clock_that_was_set_back_since_is_not_missed(
    scene: Scene, sealer_ahead: timedelta
) -> None:
    matched(scene, 2 * HOUR)
    hand_on()
    seal_at(sealer_ahead)
    endpoint_of(scene)
    seal_at(timedelta(0))
    assert found() == []


def test_what_an_endpoint_did_not_get_while_it_was_off_is_not_missed(scene: Scene) -> None:
    endpoint = endpoint_of(scene)
    seal_at(timedelta(0))
    with transaction():
        disable_endpoint(endpoint)
    matched(scene, HOUR)
    hand_on()
    seal_at(HOUR)
    with transaction():
        enable_endpoint(endpoint)
    seal_at(2 * HOUR)
    assert found() == []


@pytest.mark.parametrize(("types", "missed"), [(["order.completed"], False), (["order.matched"], True)])
def test_only_what_an_endpoint_wants_is_missed(scene: Scene, types: list[str], missed: bool) -> None:
    endpoint_of(scene, types)
    seal_at(timedelta(0))
    matched(scene, HOUR)
    hand_on()
    seal_at(HOUR)
    change("DELETE FROM webhook_delivery")
    assert [("(order.matched) was handed on" in example) for example in found()] == [True] * missed


def test_a_clock_that_was_set_back_leaves_its_own_times_ahead_until_it_is_seen(scene: Scene) -> None:
    set_back = (
        "INSERT INTO heartbeat (role, beat_at, given_back_until) VALUES ('clock', now() + %(by)s, now() + %(by)s)"
        " ON CONFLICT (role) DO UPDATE SET beat_at = excluded.beat_at, given_back_until = excluded.given_back_until"
    )
    change(set_back, {"by": timedelta(days=30)})
    assert found() == []
    change("UPDATE heartbeat SET beat_at = now()")
    assert len(found()) == 1
    with transaction():
        hot("UPDATE heartbeat SET given_back_until = now() + interval '24 hours'")
    assert found() == []
