"""Windows that had counted disputes over expired orders are put right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade

from portal.core.actors import CUSTOMER
from portal.core.db import db, hot, transaction
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, resolve_dispute
from portal.ledger.integrity import run_checks
from portal.orders.integrity.checks import CHECKS
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service.deadlines import act_on_deadline
from tests.conftest import forget_what_is_held
from tests.scene import Scene, build_scene, counters

FOLDER = str(Path(__file__).parents[2] / "migrations")


@pytest.fixture
def own_app(worker: Any) -> Iterator[Flask]:
    app = worker.new_app(worker.new_database("windows"))
    with app.app_context():
        forget_what_is_held()
        yield app
        forget_what_is_held()
        db.session.remove()
        db.engine.dispose()


def reopened(scene: Scene, amount_minor: int) -> OrderRecord:
    order = scene.payin(amount_minor)
    with transaction():
        act_on_deadline(get_order(order.id, lock=True))
        open_dispute(get_order(order.id, lock=True), DisputeReason.NOT_CONFIRMED, "?", None, actor=CUSTOMER)
    return order


@pytest.mark.proves("tried C3")
def test_what_a_window_had_counted_of_disputes_over_expired_orders_is_given_back(own_app: Flask) -> None:
    with transaction():
        scene = build_scene()
    requisite = scene.requisite(scene.trader(), window_s=3600, window_amount_limit=100_000_00)
    reopened(scene, 8_000_00)
    cancelled = reopened(scene, 2_000_00)
    scene.payin(1_500_00)
    downgrade(directory=FOLDER, revision="0047-1")
    with transaction():
        hot("UPDATE requisite SET window_s = 7200 WHERE id = %(id)s", {"id": requisite.id})
    with transaction():
        order = get_order(cancelled.id, lock=True)
        resolve_dispute(order, DisputeOutcome.CANCELLED, None, "decided", actor=scene.support)
        assert counters(requisite)["window_amount"] == 11_500_00
    upgrade(directory=FOLDER)
    with transaction():
        assert counters(requisite)["window_amount"] == 1_500_00
        assert run_checks(CHECKS) == []
        assert get_order(cancelled.id).version == order.version + 1
