"""Reading endpoints, deliveries and attempts, always by the store they belong to."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.core.db import db, hot
from portal.core.errors import NotFound
from portal.core.ids import least_id_at
from portal.core.modes import Mode
from portal.core.queues import QueueName, is_paused
from portal.events.models import Event
from portal.webhooks.models import DeliveryState, WebhookAttempt, WebhookDelivery, WebhookEndpoint

OLDEST_DUE = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(d.next_at)), 0)::float8 AS age_s
FROM webhook_endpoint e JOIN webhook_delivery d ON d.endpoint_id = e.id
WHERE e.disabled_at IS NULL AND e.deleted_at IS NULL AND e.failing_since IS NULL
  AND d.state = 'pending' AND d.next_at <= clock_timestamp()
"""


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One delivery as its owner sees it."""

    id: uuid.UUID
    event_id: uuid.UUID
    event_type: str
    subject_id: uuid.UUID
    state: str
    attempts: int
    next_at: datetime
    created_at: datetime
    done_at: datetime | None


def find_endpoint(store_id: uuid.UUID, mode: Mode, *, lock: bool = False) -> WebhookEndpoint | None:
    """The store's endpoint for this mode, if it has one. `lock` takes its row until the end."""
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.store_id == store_id,
        WebhookEndpoint.mode == mode.value,
        WebhookEndpoint.deleted_at.is_(None),
    )
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return db.session.execute(query).scalar_one_or_none()


def get_endpoint(store_id: uuid.UUID, mode: Mode, *, lock: bool = False) -> WebhookEndpoint:
    """As `find_endpoint`. Raises NotFound."""
    endpoint = find_endpoint(store_id, mode, lock=lock)
    if endpoint is None:
        raise NotFound("This store has no webhook endpoint in this mode.")
    return endpoint


def list_deliveries(
    store_id: uuid.UUID,
    mode: Mode,
    *,
    state: DeliveryState | None = None,
    after: uuid.UUID | None = None,
    limit: int = 50,
) -> list[DeliveryLine]:
    """The store's deliveries by event, newest event first; `after` is the event id of the last line seen."""
    query = (
        select(
            WebhookDelivery.id,
            WebhookDelivery.event_id,
            Event.type,
            Event.subject_id,
            WebhookDelivery.state,
            WebhookDelivery.attempts,
            WebhookDelivery.next_at,
            WebhookDelivery.created_at,
            WebhookDelivery.done_at,
        )
        .join(Event, Event.id == WebhookDelivery.event_id)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(
            WebhookEndpoint.store_id == store_id,
            WebhookEndpoint.mode == mode.value,
            Event.store_id == store_id,
            Event.mode == mode.value,
        )
        .order_by(WebhookDelivery.event_id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(WebhookDelivery.state == state.value)
    if after is not None:
        query = query.where(WebhookDelivery.event_id < after)
    return [DeliveryLine(*row) for row in db.session.execute(query)]


def list_attempts(store_id: uuid.UUID, delivery_id: uuid.UUID) -> Sequence[WebhookAttempt]:
    """The attempts of one of the store's deliveries, oldest first; empty for a stranger's."""
    return db.session.scalars(
        select(WebhookAttempt)
        .join(WebhookDelivery, WebhookDelivery.id == WebhookAttempt.delivery_id)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(WebhookAttempt.delivery_id == delivery_id, WebhookEndpoint.store_id == store_id)
        .order_by(WebhookAttempt.id)
    ).all()


# An order's events were written with its steps: they are found by the moments of those, in the store's own index.
_OF_SUBJECT = """
SELECT d.id, v.id AS event_id, v.type, v.created_at, d.state, d.next_at, d.done_at, e.url,
       e.disabled_at IS NOT NULL OR e.deleted_at IS NOT NULL AS is_off,
       (SELECT jsonb_agg(jsonb_build_object('at', a.at, 'status_code', a.status_code, 'latency_ms', a.latency_ms,
                                            'error', a.error, 'answer', left(a.answer, 2000)) ORDER BY a.id)
          FROM (SELECT * FROM webhook_attempt WHERE delivery_id = d.id ORDER BY id DESC LIMIT 20) a) AS attempts
  FROM unnest(%(froms)s::uuid[], %(tos)s::uuid[]) AS w (first, last)
  JOIN event v ON v.store_id = %(store)s AND v.mode = %(mode)s AND v.id >= w.first AND v.id < w.last
              AND v.subject_id = %(subject)s
  JOIN webhook_delivery d ON d.event_id = v.id
  JOIN webhook_endpoint e ON e.id = d.endpoint_id
 ORDER BY v.id, d.id
"""
_SPARE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One request and its answer, of which the first part is kept."""

    at: datetime
    status_code: int | None
    latency_ms: int
    error: str | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class DeliveryOfOrder:
    """One event of an order on its way to an endpoint, with its latest attempts, oldest first."""

    id: uuid.UUID
    event_id: uuid.UUID
    type: str
    created_at: datetime
    state: DeliveryState
    next_at: datetime
    done_at: datetime | None
    url: str
    is_off: bool
    attempts: tuple[AttemptLine, ...]


def list_deliveries_of_order(
    order_id: uuid.UUID, store_id: uuid.UUID, mode: Mode, moments: Iterable[datetime]
) -> list[DeliveryOfOrder]:
    """What the store was told of its order at these moments (the times of its steps), oldest first."""
    windows = _windows(moments)
    params = {
        "froms": [least_id_at(first) for first, _ in windows], "tos": [least_id_at(last) for _, last in windows],
        "store": store_id, "mode": mode.value, "subject": order_id,
    }  # fmt: skip
    return [_delivery(row) for row in hot(_OF_SUBJECT, params)]


def _windows(moments: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """A minute around each moment, for clocks that differ; what overlaps is one."""
    windows: list[tuple[datetime, datetime]] = []
    for at in sorted(moments):
        if windows and at - _SPARE <= windows[-1][1]:
            windows[-1] = (windows[-1][0], at + _SPARE)
        else:
            windows.append((at - _SPARE, at + _SPARE))
    return windows


def _delivery(row: dict[str, Any]) -> DeliveryOfOrder:
    attempts = tuple(
        AttemptLine(**attempt | {"at": datetime.fromisoformat(attempt["at"])})
        for attempt in row["attempts"] or ()
    )
    return DeliveryOfOrder(**row | {"state": DeliveryState(row["state"]), "attempts": attempts})


_TROUBLED = """
SELECT e.store_id, e.disabled_at, e.failing_since,
       (SELECT count(*) FROM (
          SELECT 1 FROM webhook_delivery d WHERE d.endpoint_id = e.id AND d.state = 'pending'
             AND d.next_at <= clock_timestamp() + interval '10 years' LIMIT 1000) w) AS waiting
  FROM webhook_endpoint e
 WHERE e.store_id = ANY(%(stores)s::uuid[]) AND e.mode = %(mode)s AND e.deleted_at IS NULL
   AND (e.disabled_at IS NOT NULL OR e.failing_since IS NOT NULL)
 ORDER BY e.id
"""


@dataclass(frozen=True, slots=True)
class TroubledEndpoint:
    """An endpoint that was switched off, or that fails since a moment. `waiting` is counted up to 1,000."""

    store_id: uuid.UUID
    disabled_at: datetime | None
    failing_since: datetime | None
    waiting: int


def list_troubled_endpoints(store_ids: Sequence[uuid.UUID], mode: Mode) -> list[TroubledEndpoint]:
    rows = hot(_TROUBLED, {"stores": list(store_ids), "mode": mode.value})
    return [TroubledEndpoint(**row) for row in rows]


_LATE = f"""
SELECT (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0) FROM event
         WHERE state = 'pending')::float8 AS event_s,
       (SELECT age_s FROM ({OLDEST_DUE}) d) AS webhook_s
"""  # noqa: S608 - constant texts


@dataclass(frozen=True, slots=True)
class Lateness:
    """Seconds by which the oldest pending event, and the most overdue delivery to a healthy endpoint, wait."""

    event_s: float
    webhook_s: float


def how_late() -> Lateness:
    """How far behind the relay and the sender are; 0 where nothing waits."""
    return Lateness(**hot(_LATE)[0])


def oldest_due_age_s() -> float:
    """Seconds by which the sender is late with its most overdue delivery to a healthy endpoint; 0 if not."""
    return float(hot(OLDEST_DUE)[0]["age_s"])


# A sender that can't keep up still gets on; one that is stuck leaves what is due and attempts nothing.
_STUCK_AFTER_S = 60.0
_STUCK = f"""
SELECT (SELECT age_s FROM ({OLDEST_DUE}) d) > %(after)s
       AND coalesce((SELECT at FROM webhook_attempt ORDER BY id DESC LIMIT 1), '-infinity')
           < clock_timestamp() - make_interval(secs => %(after)s) AS is_stuck
"""  # noqa: S608 - constant texts


def sending_progress() -> str:
    """`stuck` when webhooks to healthy endpoints are due for a minute and none was attempted in it; else `ok`."""
    if is_paused(QueueName.WEBHOOKS):
        return "ok"
    return "stuck" if hot(_STUCK, {"after": _STUCK_AFTER_S})[0]["is_stuck"] else "ok"
