"""Picking the requisite for a payin, and reserving it in the same statement."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from portal.core.db import hot
from portal.matching.ring import RingCursors
from portal.merchants.queries import TrafficTerms
from portal.reference import configuration as config

TIERS = 9
_cursors = RingCursors(random.SystemRandom().randrange(2**31))

# Parameters of pick_requisite, for statements that match as part of something larger.
PICK = """
SELECT * FROM pick_requisite(
  %(order_id)s, %(round)s::int, %(mode)s, %(method)s, %(bank)s, %(currency)s, %(amount)s, %(hold)s,
  %(day_timezone)s, %(starts)s::int[], %(split_to)s::uuid, %(only)s::uuid[], %(never)s::uuid[], %(reserve)s)
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be matched. `amount_minor` is fiat, `hold_minor` what the trader's deposit must cover."""

    order_id: uuid.UUID
    round: int
    mode: str
    method: str
    bank: str | None
    currency: str
    amount_minor: int
    hold_minor: int
    traffic: TrafficTerms


@dataclass(frozen=True, slots=True)
class Taken:
    """The requisite that has been reserved for the order."""

    requisite_id: uuid.UUID
    trader_id: uuid.UUID
    bank: str | None
    holder: str
    number_encrypted: bytes
    number_masked: str
    counted_day: date
    window_s: int | None


@dataclass(frozen=True, slots=True)
class MatchResult:
    """Who was taken (or nobody), and the explanation that is kept with the order."""

    taken: Taken | None
    trace: dict[str, Any]


def match(wanted: Wanted, *, reserve: bool = True) -> MatchResult:
    """Pick by tier, then around the ring in proportion to weight, and reserve the limits of the one taken.

    Locks the requisite and its trader's deposit account (never waiting for either); call it inside the
    transaction that writes the order. With `reserve=False` nothing is changed: what would happen now.
    """
    params = {
        "order_id": wanted.order_id, "round": wanted.round, "mode": wanted.mode, "method": wanted.method,
        "bank": wanted.bank, "currency": wanted.currency, "amount": wanted.amount_minor,
        "hold": wanted.hold_minor, "reserve": reserve,
    }  # fmt: skip
    bucket = bucket_of(wanted.mode, wanted.method, wanted.currency, wanted.bank)
    row = hot(PICK, params | search_params(bucket, wanted.order_id, wanted.traffic))[0]
    if reserve:
        note_taken(bucket, row)
    return MatchResult(_taken(row) if row["requisite_id"] is not None else None, row["trace"])


def bucket_of(mode: str, method: str, currency: str, bank: str | None) -> Hashable:
    """Requisites that take turns with each other."""
    return (mode, method, currency, bank)


def search_params(bucket: Hashable, order_id: uuid.UUID, traffic: TrafficTerms) -> dict[str, Any]:
    """Where and among whom pick_requisite is to look: arrays as text, which the driver need not build."""
    return {
        "day_timezone": config.get(config.DAY_TIMEZONE),
        "starts": _array(_cursors.starts(bucket, TIERS)),
        "split_to": preferred_trader(order_id, traffic),
        "only": _array(traffic.pinned) if traffic.pinned else None,
        "never": _array(traffic.excluded),
    }


def note_taken(bucket: Hashable, row: Mapping[str, Any]) -> None:
    """Move the ring on, when the one taken was found by walking around it."""
    if row["is_by_ring"] and row["ring"] is not None:
        _cursors.advance(bucket, row["tier"], row["ring"], row["weight"])


def _array(values: Sequence[object]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def _taken(row: Mapping[str, Any]) -> Taken:
    return Taken(
        row["requisite_id"], row["trader_id"], row["bank"], row["holder"], row["number_encrypted"],
        row["number_masked"], row["counted_day"], row["window_s"],
    )  # fmt: skip


def preferred_trader(order_id: uuid.UUID, traffic: TrafficTerms) -> uuid.UUID | None:
    """The trader who is asked first because the store's volume is split by percent.

    The order's id decides, so that a retry lands in the same share.
    """
    if not traffic.split:
        return None
    point = int.from_bytes(hashlib.sha256(order_id.bytes).digest()[:4], "big") % 100
    reached = 0
    for trader_id, percent in traffic.split:
        reached += percent
        if point < reached:
            return trader_id
    return None
