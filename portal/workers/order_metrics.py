"""Counting what happened to orders: by the relay, from committed events, so that no request pays for it.

An event that is handed on twice is counted twice, which happens when a relay dies between two statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from portal.core.db import after_commit
from portal.core.observability import metrics
from portal.events.relay import RelayedEvent
from portal.matching.verdicts import Verdict
from portal.orders.figures.of_events import OrderFigures, figures_of
from portal.webhooks.event_types import EVENT_TYPES

# Conditions of the search. The traces of orders placed before a release may name others, counted as `other`.
CONDITIONS = frozenset(Verdict) - {Verdict.FITS}
_MOVED = frozenset({"order.completed", "payout.completed"})
_UNMATCHED = frozenset({"order.failed", "order.expired", "payout.failed"})


def count_events(events: Sequence[RelayedEvent]) -> None:
    """Count them once they are committed as handed on. Call inside the relay's transaction."""
    about_orders = [event for event in events if event.subject_kind == "order"]
    if not about_orders:
        return
    figures = figures_of(list({event.subject_id for event in about_orders}))
    after_commit(partial(_count, about_orders, figures))


def _count(events: Sequence[RelayedEvent], figures: dict[UUID, OrderFigures]) -> None:
    for event in events:
        kind = event.type if event.type in EVENT_TYPES else "other"
        metrics.order_events.labels(kind, event.mode).inc()
        order = figures.get(event.subject_id)
        if order is None:
            continue
        if event.type in _MOVED:
            metrics.money.labels(order.direction, order.mode, order.currency).inc(order.received_minor)
        if event.type == "order.matched" and order.round == 1 and order.waited_s is not None:
            metrics.match_wait.labels(order.mode, order.method).observe(order.waited_s)
        if event.type in _UNMATCHED and order.fell:
            for reason, count in order.fell.items():
                metrics.unmatched.labels(reason if reason in CONDITIONS else "other").inc(count)
