"""All that is known of one order, read in one statement, for whoever may see it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.audit.queries import LINES_OF_SUBJECT, AuditLine, lines_from
from portal.core.db import hot
from portal.core.errors import NotFound
from portal.ledger.queries import ENTRIES_OF_SUBJECT, EntryLine, entries_from
from portal.orders.order_list import Whose
from portal.orders.queries import TimelineStep
from portal.orders.record import COLUMNS, OrderRecord, record_of
from portal.risk.queries import DECISIONS_OF_ORDER, DecisionLine, decisions_from


@dataclass(frozen=True, slots=True)
class PartsOfPage:
    """What is read beside the order, its timeline and its receipts."""

    entries: bool = False
    audit: bool = False
    risk: bool = False
    past: bool = False


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """A receipt as a page names it; its file is served by a route of its own."""

    id: uuid.UUID
    kind: str
    content_type: str
    has_picture: bool
    actor_kind: str
    at: datetime

    @property
    def is_image(self) -> bool:
        return self.content_type.startswith("image/")


@dataclass(frozen=True, slots=True)
class PastRequisite:
    """A requisite that had the order and lost it."""

    requisite_id: uuid.UUID
    trader_id: uuid.UUID
    ended_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class OrderDetail:
    """One order with what belongs to it, each part oldest first but the audit log, which is newest first.

    What was not asked for is empty.
    """

    order: OrderRecord
    steps: tuple[TimelineStep, ...]
    receipts: tuple[ReceiptLine, ...]
    past: tuple[PastRequisite, ...]
    decisions: tuple[DecisionLine, ...]
    entries: tuple[EntryLine, ...]
    audit: tuple[AuditLine, ...]


_ORDER_DETAIL = f"""
SELECT {COLUMNS},
  (SELECT jsonb_agg(to_jsonb(s) - 'order_id' ORDER BY s.id) FROM order_event s WHERE s.order_id = o.id) AS steps,
  (SELECT jsonb_agg(jsonb_build_object('id', c.id, 'kind', c.kind, 'content_type', c.content_type,
                                       'is_painted', c.picture_key IS NOT NULL,
                                       'actor_kind', c.actor_kind, 'at', c.created_at) ORDER BY c.id)
     FROM receipt c WHERE c.order_id = o.id) AS receipts,
  CASE WHEN %(past)s::bool THEN (
    SELECT jsonb_agg(jsonb_build_object('requisite_id', a.requisite_id, 'trader_id', a.trader_id,
                                        'ended_at', a.ended_at, 'reason', a.reason) ORDER BY a.ended_at)
      FROM past_assignment a WHERE a.order_id = o.id) END AS past,
  CASE WHEN %(risk)s::bool THEN ({DECISIONS_OF_ORDER}) END AS decisions,
  CASE WHEN %(entries)s::bool THEN ({ENTRIES_OF_SUBJECT}) END AS entries,
  CASE WHEN %(audit)s::bool THEN ({LINES_OF_SUBJECT}) END AS audit
  FROM orders o
 WHERE o.id = %(subject_id)s
   AND (%(stores)s::uuid[] IS NULL OR o.store_id = ANY(%(stores)s::uuid[]))
   AND (%(traders)s::uuid[] IS NULL OR o.trader_id = ANY(%(traders)s::uuid[]))
"""  # noqa: S608 - built once from constants


def read_order_detail(order_id: uuid.UUID, whose: Whose, parts: PartsOfPage) -> OrderDetail:
    """The order, if it is one of these people's; NotFound if not. Secrets in it stay encrypted."""
    params = {
        "subject_id": order_id, "subject_kind": "order",
        "stores": None if whose.stores is None else list(whose.stores),
        "traders": None if whose.traders is None else list(whose.traders),
        "entries": parts.entries, "audit": parts.audit, "risk": parts.risk, "past": parts.past,
    }  # fmt: skip
    rows = hot(_ORDER_DETAIL, params)
    if not rows:
        raise NotFound("There is no such order.")
    row = rows[0]
    return OrderDetail(
        record_of(row),
        tuple(_step(step) for step in row["steps"] or ()),
        tuple(_receipt(receipt) for receipt in row["receipts"] or ()),
        _past(row["past"] or ()),
        decisions_from(row["decisions"]),
        entries_from(row["entries"]),
        lines_from(row["audit"]),
    )


def _step(row: Mapping[str, Any]) -> TimelineStep:
    return TimelineStep(
        row["event"], row["from_status"], row["to_status"], row["actor_kind"],
        uuid.UUID(row["actor_id"]) if row["actor_id"] else None, row["reason"],
        datetime.fromisoformat(row["at"]),
    )  # fmt: skip


def _receipt(row: Mapping[str, Any]) -> ReceiptLine:
    at = datetime.fromisoformat(row["at"])
    kind = row["content_type"]
    has_picture = row["is_painted"] or kind.startswith("image/")
    return ReceiptLine(uuid.UUID(row["id"]), row["kind"], kind, has_picture, row["actor_kind"], at)


def _past(rows: Sequence[Mapping[str, Any]]) -> tuple[PastRequisite, ...]:
    return tuple(
        PastRequisite(
            uuid.UUID(row["requisite_id"]), uuid.UUID(row["trader_id"]),
            datetime.fromisoformat(row["ended_at"]), row["reason"],
        )
        for row in rows
    )  # fmt: skip
