"""The version of an order: one more with every change, whoever writes it."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.core.errors import InvalidTransition
from portal.core.uploads.check import check_upload
from portal.orders.models import ReceiptKind
from portal.orders.queries import get_order
from portal.orders.receipts import add_receipt
from portal.orders.record import FIELDS
from portal.orders.service import (
    choose_method,
    claim_payin,
    confirm_payin,
    match_waiting_orders,
)
from portal.orders.service import confirm as confirming
from portal.orders.service.silences import beat
from tests.rows import change
from tests.scene import Scene, as_trader
from tests.sent_files import LARGEST
from tests.web.desk import picture

pytestmark = pytest.mark.proves("tried N5")
# What a change of gives another version: all that an order is, but what the search for a trader keeps for itself.
SEEN = sorted(
    {"metadata" if name == "order_metadata" else name for name in FIELDS} - {"version", "retry_at", "read_at"}
)
# What an order is made with and keeps (the database refuses to change it), and what moves only with other columns.
FROZEN = {
    "id", "mode", "direction", "store_id", "external_id", "amount_minor", "currency", "settlement_currency", "rate_micros",
    "store_fee_bps", "fixed_fee_minor", "trader_commission_bps", "lead_commission_bps",
}  # fmt: skip
OTHERWISE = {
    "status": "'cancelled'", "bank": "'tbank'", "metadata": "jsonb_build_object('a', 1)", "customer_ip": "'192.0.2.7'", "locale": "'ru'",
    "counted_day": "current_date - 7", "trader_id": "gen_random_uuid()", "requisite_id": "gen_random_uuid()", "round": "7",
    "settlement_minor": "7", "fee_minor": "7", "hold_minor": "7", "amount_received_minor": "7",
}  # fmt: skip


def value_for(column: str) -> str:
    if column in OTHERWISE:
        return OTHERWISE[column]
    kind = hot(
        "SELECT data_type AS kind FROM information_schema.columns WHERE table_name = 'orders' AND column_name = %(name)s",
        {"name": column},
    )[0]["kind"]
    return {
        "bigint": "7",
        "bytea": "'other'::bytea",
        "timestamp with time zone": "now() - interval '7 days'",
    }.get(kind, "'other'")


@pytest.mark.parametrize("column", [name for name in SEEN if name not in FROZEN])
def test_a_change_of_any_column_by_anybody_is_a_version(scene: Scene, column: str) -> None:
    scene.requisite(scene.trader())
    order = scene.payin()
    with_status = ", due_at = NULL, hold_minor = 0" if column == "status" else ""
    change(
        f"UPDATE orders SET {column} = {value_for(column)}{with_status} WHERE id = %(id)s", {"id": order.id}
    )
    assert get_order(order.id).version == order.version + 1


def test_what_the_search_keeps_for_itself_is_no_version_and_neither_is_nothing(scene: Scene) -> None:
    order = scene.payin()
    change("UPDATE orders SET retry_at = now() WHERE id = %(id)s", {"id": order.id})
    due = get_order(order.id).retry_at
    match_waiting_orders()
    change("UPDATE orders SET due_at = due_at WHERE id = %(id)s", {"id": order.id})
    after = get_order(order.id)
    assert after.retry_at != due
    assert (after.status, after.version) == ("matching", 1)


@pytest.mark.parametrize("jump", ["version + 2", "version - 1", "7"])
def test_a_version_is_never_skipped_or_taken_back(scene: Scene, jump: str) -> None:
    order = scene.payin()
    with pytest.raises(psycopg.errors.CheckViolation, match="can not follow"):
        change(f"UPDATE orders SET version = {jump} WHERE id = %(id)s", {"id": order.id})


def test_every_verb_raises_it_by_one_and_its_event_carries_it(scene: Scene) -> None:
    trader = scene.trader()
    order = scene.payin(method=None)
    versions = [order.version]

    def note() -> None:
        versions.append(get_order(order.id).version)

    with transaction():
        choose_method(get_order(order.id, lock=True), "card", None, actor=CUSTOMER)
    note()
    scene.requisite(trader)
    change("UPDATE orders SET retry_at = now() WHERE id = %(id)s", {"id": order.id})
    match_waiting_orders()
    note()
    beat(30)
    change("UPDATE heartbeat SET beat_at = clock_timestamp() - interval '10 minutes' WHERE role = 'clock'")
    beat(30)
    note()
    upload = check_upload(picture(), LARGEST, uploader="test")
    with transaction():
        locked = get_order(order.id, lock=True)
        add_receipt(locked, upload, ReceiptKind.PAYMENT, actor=CUSTOMER)
        note()
        claim_payin(locked, None, actor=CUSTOMER)
    note()
    with transaction():
        confirm_payin(get_order(order.id, lock=True), 1499_00, actor=as_trader(trader))
    note()
    assert versions == [1, 2, 3, 4, 5, 6, 7]
    told = hot(
        "SELECT type, version, sequence, data ->> 'version' AS shown FROM event WHERE subject_id = %(id)s ORDER BY version, sequence",
        {"id": order.id},
    )
    assert [(row["type"], row["version"], row["sequence"]) for row in told] == [
        ("order.matched", 3, 0), ("order.claimed", 6, 0), ("order.amount_changed", 7, 0), ("order.completed", 7, 1),
    ]  # fmt: skip
    assert [int(row["shown"]) for row in told] == [row["version"] for row in told]


@pytest.mark.proves("tried C5")
def test_a_change_is_not_written_over_one_that_came_between(scene: Scene) -> None:
    """Whoever confirms without having locked the row has its version alone to know that it is still the same."""
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    read = get_order(order.id)
    change(
        "UPDATE orders SET pay_by = pay_by + %(by)s WHERE id = %(id)s",
        {"by": timedelta(minutes=5), "id": order.id},
    )
    with transaction(), pytest.raises(InvalidTransition):
        confirming.confirm_payin(read, None, actor=as_trader(trader))
    after = get_order(order.id)
    assert (after.status, after.pay_by) == (
        "awaiting_payment",
        order.pay_by and order.pay_by + timedelta(minutes=5),
    )
    assert hot("SELECT count(*) AS n FROM ledger_entry WHERE subject_id = %(id)s", {"id": order.id}) == [
        {"n": 1}
    ]
