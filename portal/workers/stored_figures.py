"""What the metrics read from PostgreSQL and Redis when they are asked for: states, depths and ages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import redis
from prometheus_client.core import GaugeMetricFamily, Metric

from portal.core.hints import queue_on
from portal.error_reports.queries import latest_proof
from portal.events.queries import count_waiting_events, outbox_overdue_s
from portal.events.readiness import clock_silent_s
from portal.events.relay import oldest_pending_age_s
from portal.mail.outbox import count_outbox
from portal.orders.figures import count_open_orders
from portal.settings import get_settings
from portal.webhooks.queries import oldest_due_age_s


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _orders() -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "nostro_open_orders", "Orders that have not ended.", labels=["status", "direction", "mode"]
    )
    for line in count_open_orders():
        family.add_metric([line.status, line.direction, line.mode], line.orders)
    yield family


def _outbox() -> Iterator[Metric]:
    yield _gauge("nostro_outbox_events", "Events that wait to be handed on.", count_waiting_events())
    yield _gauge("nostro_outbox_oldest_age_seconds", "Age of the oldest of them.", oldest_pending_age_s())
    yield _gauge("nostro_outbox_overdue_seconds", "How late the first due one is.", outbox_overdue_s())


def _webhooks() -> Iterator[Metric]:
    yield _gauge(
        "nostro_webhook_overdue_seconds",
        "How late the first due delivery to a sound endpoint is.",
        oldest_due_age_s(),
    )


def _mail() -> Iterator[Metric]:
    counts = count_outbox()
    family = GaugeMetricFamily("nostro_mails", "Mails that wait, and that were given up.", labels=["state"])
    family.add_metric(["pending"], counts.pending)
    family.add_metric(["dead"], counts.dead)
    yield family
    yield _gauge(
        "nostro_mail_oldest_age_seconds", "Age of the oldest mail that waits.", counts.oldest_pending_s
    )


def _clock() -> Iterator[Metric]:
    silent_s = clock_silent_s()
    if silent_s is not None:
        yield _gauge("nostro_clock_silent_seconds", "Time since the clock last acted.", silent_s)


def _ledger() -> Iterator[Metric]:
    """Nothing until the first `flask ledger verify`: an absent figure is what the alert looks for."""
    proof = latest_proof("ledger")
    if proof is not None:
        yield _gauge(
            "nostro_ledger_verification_timestamp_seconds",
            "When the ledger was last verified.",
            proof.at.timestamp(),
        )
        yield _gauge("nostro_ledger_verification_broken_checks", "Checks that found something.", proof.broken)
        yield _gauge(
            "nostro_ledger_verification_duration_seconds", "How long that took.", proof.duration_ms / 1000
        )


def _queue() -> Iterator[Metric]:
    settings = get_settings()
    with redis.Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
    ) as connection:
        queue = queue_on(connection)
        oldest = next(iter(queue.get_jobs(0, 1)), None)
        age_s = 0.0
        if oldest is not None and oldest.enqueued_at is not None:
            age_s = max((datetime.now(UTC) - _aware(oldest.enqueued_at)).total_seconds(), 0.0)
        yield _gauge("nostro_queue_jobs", "Hints that wait for a worker.", queue.count)
        yield _gauge("nostro_queue_oldest_age_seconds", "Age of the oldest of them.", age_s)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


READERS: dict[str, Callable[[], Iterable[Metric]]] = {
    "orders": _orders,
    "outbox": _outbox,
    "webhooks": _webhooks,
    "mail": _mail,
    "clock": _clock,
    "ledger": _ledger,
    "queue": _queue,
}
