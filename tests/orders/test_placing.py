"""The one record from which an order is placed: its fields, what it brings of the transition table, and who still calls otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.orders.models import Direction, Status
from portal.orders.queries import get_order, list_steps
from portal.orders.record import OrderRecord
from portal.orders.service import cancel_order, place
from portal.orders.service.assign import RETRY_EVERY_S, assign_payin
from portal.orders.transitions import Limits, Money, Step, find_transition
from tests.scene import Customer, Scene, build_scene

_FIELDS = "SELECT attname AS name FROM pg_attribute WHERE attrelid = 'new_order'::regclass ORDER BY attnum"
_TOLD = "SELECT type FROM event WHERE subject_id = %(id)s"
# In the order of the function that the version before calls.
_FORMER = (
    "lock_key", "path", "key", "fingerprint", *place._FROM_ORDER, "metadata", "token_hash", "match_s", "pay_s",
    "is_searched", "day_timezone", "starts", "split_to", "only", "never", "entry_kind", "hold_minor", "from_account",
    "to_account", "actor_kind", "actor_id", "event_id", "event_type", "answer", "requisite_shown",
)  # fmt: skip


_ROW = "SELECT o.* FROM orders o WHERE id = %(id)s"
# What is an order's own, what is sealed with its id, and how often it was written.
_OWN = {"id", "external_id", "token_hash", "customer_encrypted", "version"}
_SINCE = {
    "created_at": ("created_at", "match_by"),
    "assigned_at": ("assigned_at", "updated_at", "pay_by", "due_at", "window_leaves_at"),
}


def call_as_before(_sql: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    arguments = ", ".join(f"%({name})s" for name in _FORMER)
    return hot(f"SELECT * FROM place_order({arguments})", {name: params[name] for name in _FORMER})


def test_the_database_and_the_program_name_the_same_fields_in_one_order(scene: Scene) -> None:
    del scene
    assert tuple(row["name"] for row in hot(_FIELDS)) == place.NEW_ORDER


def test_an_order_that_is_matched_at_once_goes_the_way_of_the_table(scene: Scene) -> None:
    requisite = scene.requisite(scene.trader())
    order = scene.payin()
    row = find_transition(Direction.PAYIN, Status.MATCHING, Step.MATCHED, scene.merchant)
    assert (row.money, row.limits) == (Money.HOLD, Limits.TAKE)
    assert (order.status, order.requisite_id, order.round) == (row.target, requisite.id, 1)
    assert order.hold_minor == order.settlement_minor
    steps = [(step.event, step.from_status, step.to_status) for step in list_steps(order.id)]
    assert steps == [(Step.CREATED, None, Status.MATCHING), (row.step, Status.MATCHING, row.target)]
    assert [told["type"] for told in hot(_TOLD, {"id": order.id})] == [row.event]


def test_an_order_that_finds_nobody_is_looked_at_again_when_all_others_are(scene: Scene) -> None:
    order = scene.payin()
    assert order.status == Status.MATCHING
    assert order.retry_at == order.created_at + timedelta(seconds=RETRY_EVERY_S)
    assert hot(_TOLD, {"id": order.id}) == []


def test_the_version_before_places_orders_while_this_one_is_put_in(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    requisite = scene.requisite(scene.trader())
    scene.fund_store()
    monkeypatch.setattr(place, "hot", call_as_before)
    payin, payout = scene.payin(), scene.payout()
    assert (payin.status, payin.requisite_id) == (Status.AWAITING_PAYMENT, requisite.id)
    assert [step.to_status for step in list_steps(payin.id)] == [Status.MATCHING, Status.AWAITING_PAYMENT]
    assert (payout.status, payout.hold_minor) == (Status.MATCHING, payout.settlement_minor + payout.fee_minor)


def row_of(order: OrderRecord) -> dict[str, Any]:
    """All of its columns; a time as the time since it was created or assigned, whichever it is counted from."""
    with transaction():
        row = hot(_ROW, {"id": order.id})[0]
    del row["match_trace"][
        "found_by"
    ]  # on which side of where the search began on the ring, which is another one each time
    spans = {name: row[name] - row[since] for since, names in _SINCE.items() for name in names}
    return {name: value for name, value in (row | spans).items() if name not in _OWN}


def test_a_payin_matched_later_gets_the_columns_of_one_placed_at_once(committed_db: Flask) -> None:
    del committed_db
    with transaction():
        scene = build_scene()
    requisite = scene.requisite(scene.trader(), window_s=3600, window_amount_limit=1_000_000_00)
    told = {
        "customer": Customer(id="c-1", name="Ivan", email="ivan@example.test", ip="192.0.2.7"),
        "bank": "sber", "return_url": "https://shop.example/back", "description": "A chair", "locale": "ru",
        "metadata": {"cart": "7"},
    }  # fmt: skip
    with transaction():
        hot("UPDATE requisite SET payin_on = false WHERE id = %(id)s", {"id": requisite.id})
    waiting = scene.payin(external_id="later", **told)
    assert waiting.status == Status.MATCHING
    with transaction():
        hot("UPDATE requisite SET payin_on = true WHERE id = %(id)s", {"id": requisite.id})
    with transaction():
        later = assign_payin(get_order(waiting.id, lock=True), actor=scene.merchant)
    matched_later = row_of(later)
    with transaction():
        cancel_order(get_order(later.id, lock=True), None, actor=scene.merchant)
    at_once = scene.payin(external_id="at once", **told)
    assert (at_once.status, at_once.requisite_id) == (Status.AWAITING_PAYMENT, requisite.id)
    assert row_of(at_once) == matched_later
    assert later.assigned_at is not None
    assert later.assigned_at > later.created_at
    assert at_once.assigned_at == at_once.created_at
    assert (at_once.version, later.version) == (1, 2)
