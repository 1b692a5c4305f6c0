"""Picking the requisite for a payin, and reserving it in the same statement."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from portal.core.db import hot
from portal.matching.ring import RingCursors
from portal.merchants.queries import TrafficTerms
from portal.reference import configuration as config

TIERS = 9
_cursors = RingCursors(random.SystemRandom().randrange(2**31))

_MATCH = """
SELECT m.trace, m.counted_day AS day, r.id, r.trader_id, r.bank, r.holder, r.number_encrypted, r.number_masked, r.tier,
       r.ring, r.weight, r.window_s
  FROM (SELECT (now() AT TIME ZONE %(day_timezone)s)::date AS day) d
  CROSS JOIN LATERAL match_requisite(
    %(order_id)s, %(round)s::int, %(mode)s, %(method)s, %(bank)s, %(currency)s, %(amount)s::bigint,
    %(hold)s::bigint, d.day, %(starts)s::int[], %(only)s::uuid[], %(never)s::uuid[], %(reserve)s) m
  LEFT JOIN requisite r ON r.id = m.chosen
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
    preferred = preferred_trader(wanted.order_id, wanted.traffic)
    attempts: list[Sequence[uuid.UUID] | None] = [wanted.traffic.pinned or None]
    if preferred is not None:
        attempts.insert(0, [preferred])
    trace: dict[str, Any] = {}
    for only in attempts:
        row = _ask(wanted, only, reserve)
        trace = _explain(row, trace, preferred if only == [preferred] else None)
        if row["id"] is not None:
            return MatchResult(_taken(row), trace)
    return MatchResult(None, trace)


def _ask(wanted: Wanted, only: Sequence[uuid.UUID] | None, reserve: bool) -> Mapping[str, Any]:
    bucket = (wanted.mode, wanted.method, wanted.currency, wanted.bank)
    params = {
        "order_id": wanted.order_id, "round": wanted.round, "mode": wanted.mode, "method": wanted.method,
        "bank": wanted.bank, "currency": wanted.currency, "amount": wanted.amount_minor,
        "hold": wanted.hold_minor, "day_timezone": config.get(config.DAY_TIMEZONE),
        "starts": _cursors.starts(bucket, TIERS), "only": None if only is None else list(only),
        "never": list(wanted.traffic.excluded), "reserve": reserve,
    }  # fmt: skip
    row = hot(_MATCH, params)[0]
    if row["id"] is not None and reserve and only is None:
        _cursors.advance(bucket, row["tier"], row["ring"], row["weight"])
    return row


def _taken(row: Mapping[str, Any]) -> Taken:
    return Taken(
        row["id"], row["trader_id"], row["bank"], row["holder"], row["number_encrypted"],
        row["number_masked"], row["day"], row["window_s"],
    )  # fmt: skip


def _explain(row: Mapping[str, Any], earlier: dict[str, Any], preferred: uuid.UUID | None) -> dict[str, Any]:
    trace: dict[str, Any] = dict(row["trace"])
    if row["id"] is not None:
        trace["taken"] = {"requisite": str(row["id"]), "tier": row["tier"], "weight": row["weight"]}
    if preferred is not None:
        trace["split_to"] = str(preferred)
    if earlier:
        trace["before"] = earlier
    return trace


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
