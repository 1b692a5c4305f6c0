"""Trying a rule on past orders before it is switched on."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.core.db import hot
from portal.risk.facts import FactBook, OrderFacts, lowest_id
from portal.risk.rules import Condition, all_hold

DAYS = 30
MAX_ORDERS = 20_000
_BATCH = 500
_SAMPLE = 10
# What is kept encrypted, or not at all, can't be asked of the past.
UNKNOWN_LATER = frozenset({"email_domain", "card_bin"})

_PAST = """
SELECT o.id, o.store_id, o.mode, o.direction, o.amount_minor, o.currency, o.method, o.bank, o.customer_ref,
       host(o.customer_ip) AS customer_ip, o.recipient_number_index, o.status, o.created_at
  FROM orders o
 WHERE o.mode = 'live' AND o.id >= %(from_id)s AND o.id < %(before)s AND o.created_at >= %(since)s
 ORDER BY o.id DESC LIMIT %(limit)s
"""
_COUNT = """
SELECT count(*) AS orders
  FROM (SELECT 1 FROM orders WHERE mode = 'live' AND id >= %(from_id)s AND created_at >= %(since)s
         LIMIT %(limit)s) recent
"""


@dataclass
class Trial:
    """How often a rule would have fired in the last 30 days of live orders, and what became of those orders.

    `fired_by_status` counts them by their status now; `is_cut` says that only the newest were looked at.
    """

    looked_at: int = 0
    fired: int = 0
    fired_by_status: Counter[str] = field(default_factory=Counter)
    sample: list[uuid.UUID] = field(default_factory=list)
    unknown_facts: tuple[str, ...] = ()
    is_cut: bool = False


def try_rule(conditions: Sequence[Condition], progress: Callable[[int], object] = lambda _: None) -> Trial:
    """Judge past live orders by these conditions, each with the past as it was then. Changes nothing.

    Looks at the newest 20,000 orders of 30 days at most. `progress` hears how many more were judged.
    """
    used = {condition.fact for condition in conditions}
    trial = Trial(unknown_facts=tuple(sorted(used & UNKNOWN_LATER)))
    for row in _past_orders():
        if trial.looked_at == MAX_ORDERS:
            trial.is_cut = True
            break
        trial.looked_at += 1
        progress(1)
        if not all_hold(conditions, FactBook(_facts(row), is_past=True)):
            continue
        trial.fired += 1
        trial.fired_by_status[row["status"]] += 1
        if len(trial.sample) < _SAMPLE:
            trial.sample.append(row["id"])
    return trial


def count_past_orders() -> int:
    """How many orders `try_rule` will look at."""
    since = datetime.now(UTC) - timedelta(days=DAYS)
    params = {"from_id": lowest_id(since), "since": since, "limit": MAX_ORDERS}
    return int(hot(_COUNT, params)[0]["orders"])


def _past_orders() -> Iterator[dict[str, Any]]:
    since = datetime.now(UTC) - timedelta(days=DAYS)
    before = uuid.UUID(int=(1 << 128) - 1)
    while True:
        params = {"from_id": lowest_id(since), "before": before, "since": since, "limit": _BATCH}
        rows = hot(_PAST, params)
        yield from rows
        if len(rows) < _BATCH:
            return
        before = rows[-1]["id"]


def _facts(row: dict[str, Any]) -> OrderFacts:
    return OrderFacts(
        order_id=row["id"],
        store_id=row["store_id"],
        mode=row["mode"],
        direction=row["direction"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        at=row["created_at"],
        method=row["method"],
        bank=row["bank"],
        customer_ref=row["customer_ref"],
        customer_ip=row["customer_ip"],
        requisite_index=row["recipient_number_index"],
    )
