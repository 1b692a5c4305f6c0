"""The columns of an order are named by its table, its record, its lines, and the constant statements: none is forgotten.

The record's fields make the lists that are read. What places and changes an order stays constant text, and is compared.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_type_hints

from portal.orders import retention
from portal.orders.models import Order
from portal.orders.order_list import OrderLine
from portal.orders.record import FIELDS, OrderRecord
from portal.orders.service import apply, place

SQL = Path(__file__).parents[2] / "portal/orders/sql"
COLUMNS = {column.name for column in Order.__table__.columns}
RECORD = {"metadata" if name == "order_metadata" else name for name in FIELDS}
# A search's own words, which only the page of one order reads; and when the row was read, which is no column.
NOT_IN_RECORD, NO_COLUMN = {"match_trace"}, {"read_at"}
# Written by the statement itself, beside what a transition hands it.
APPLIED_OTHERWISE = {"match_trace", "version", "updated_at"}
# Never written once the order is placed, as the database sees to or as nothing asks for.
KEPT = {
    "id", "mode", "direction", "store_id", "external_id", "amount_minor", "currency", "settlement_currency", "rate_micros",
    "rate_source", "rate_at", "store_fee_bps", "fixed_fee_minor", "trader_commission_bps", "lead_commission_bps", "return_url",
    "description", "locale", "metadata", "token_hash", "created_at", "customer_ref", "recipient_masked",
}  # fmt: skip
# Forgotten after its period (portal/orders/retention.py), changed by nothing else.
FORGOTTEN = {
    "recipient_number_encrypted", "recipient_number_index", "recipient_holder", "customer_ip", "customer_encrypted",
}  # fmt: skip
# What an order has not when it is placed.
LATER = {
    "amount_received_minor", "amount_reported_minor", "payer_encrypted", "confirm_by", "status_before_dispute", "claimed_at",
    "version",
}  # fmt: skip


def names_in(text: str, file: str, pattern: str) -> list[str]:
    found = re.search(pattern, text, re.DOTALL)
    assert found, (file, pattern)
    return [name.strip() for name in found[1].split(",")]


def test_the_record_has_every_column_of_the_table() -> None:
    assert RECORD - NO_COLUMN == COLUMNS - NOT_IN_RECORD


def test_a_line_is_a_part_of_the_record() -> None:
    record = get_type_hints(OrderRecord)
    assert {name: kind for name, kind in get_type_hints(OrderLine).items() if record.get(name) != kind} == {}


def test_every_column_is_written_when_an_order_is_placed_or_later() -> None:
    text = (SQL / "place_order.sql").read_text(encoding="utf-8")
    inserted = names_in(text, "place_order.sql", r"insert into orders \((.*?)\) values")
    assert len(inserted) == len(set(inserted))
    assert set(inserted) == COLUMNS - LATER
    assert set(place._FROM_ORDER) <= set(inserted)


def test_every_column_is_changed_by_transitions_or_kept() -> None:
    changed = set(apply._CHANGEABLE)
    assert len(changed) == len(apply._CHANGEABLE)
    assert changed | APPLIED_OTHERWISE | KEPT | FORGOTTEN == COLUMNS
    assert not changed & (APPLIED_OTHERWISE | KEPT | FORGOTTEN)
    assert LATER - {"version"} <= changed
    assert set(re.findall(r"(\w+) = NULL", retention._PEOPLE)) == FORGOTTEN | {"payer_encrypted"}
