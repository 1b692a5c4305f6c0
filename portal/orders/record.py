"""An order as the verbs work on it: a plain record of its row, read and written by constant SQL."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, fields
from datetime import date, datetime
from operator import attrgetter, itemgetter
from typing import Any

from portal.orders.models import FINAL, Direction, Status


@dataclass(slots=True)
class OrderRecord:
    """One row of `orders`; the columns' meaning and units are told at portal.orders.models.Order."""

    id: uuid.UUID
    version: int
    mode: str
    direction: str
    status: str
    status_reason: str | None
    store_id: uuid.UUID
    external_id: str | None
    amount_minor: int
    amount_received_minor: int | None
    amount_reported_minor: int | None
    currency: str
    method: str | None
    bank: str | None
    settlement_currency: str
    settlement_minor: int
    fee_minor: int
    rate_micros: int
    rate_source: str
    rate_at: datetime
    store_fee_bps: int
    fixed_fee_minor: int
    trader_commission_bps: int
    lead_commission_bps: int
    requisite_id: uuid.UUID | None
    trader_id: uuid.UUID | None
    requisite_bank: str | None
    requisite_masked: str | None
    requisite_holder: str | None
    round: int
    hold_minor: int
    assigned_at: datetime | None
    counted_day: date | None
    window_leaves_at: datetime | None
    recipient_number_encrypted: bytes | None
    recipient_number_index: bytes | None
    recipient_masked: str | None
    recipient_holder: str | None
    customer_ref: str | None
    customer_ip: Any
    customer_encrypted: bytes | None
    payer_encrypted: bytes | None
    return_url: str | None
    description: str | None
    locale: str | None
    order_metadata: dict[str, Any]
    token_hash: bytes
    match_by: datetime | None
    pay_by: datetime | None
    confirm_by: datetime | None
    due_at: datetime | None
    retry_at: datetime | None
    status_before_dispute: str | None
    created_at: datetime
    updated_at: datetime
    claimed_at: datetime | None
    ended_at: datetime | None
    # The transaction's time when the row was read, by the database's clock.
    read_at: datetime

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_payin(self) -> bool:
        return self.direction == Direction.PAYIN

    @property
    def is_reopened(self) -> bool:
        """In dispute after its time was up: it takes no slot and no limits of its requisite meanwhile."""
        return self.status == Status.DISPUTED and self.status_before_dispute == Status.EXPIRED

    @property
    def actual_minor(self) -> int:
        """The fiat amount that counts: what was received where that differs, the order's amount otherwise."""
        return self.amount_received_minor or self.amount_minor

    def __copy__(self) -> OrderRecord:
        return OrderRecord(*_values_of(self))


FIELDS = tuple(field.name for field in fields(OrderRecord))
_READ_AS = {"order_metadata": "o.metadata AS order_metadata", "read_at": "now() AS read_at"}
_values_of = attrgetter(*FIELDS)
_values_in = itemgetter(*FIELDS)
COLUMNS = ", ".join(_READ_AS.get(name, f"o.{name}") for name in FIELDS)


def record_of(row: dict[str, Any]) -> OrderRecord:
    """The record of a row that was selected with COLUMNS (and perhaps more)."""
    return OrderRecord(*_values_in(row))
