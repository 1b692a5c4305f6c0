"""What the metrics read from PostgreSQL and Redis when they are asked for: states, depths and ages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import redis
from prometheus_client.core import GaugeMetricFamily, Metric

from portal.audit.chain_states import list_chain_states
from portal.core.jobs import queue_on
from portal.core.queues import WITH_JOBS
from portal.core.redis import own_client
from portal.error_reports.queries import latest_proof
from portal.events.queries import count_waiting_events, outbox_overdue_s
from portal.events.readiness import clock_silent_s
from portal.events.relay import oldest_pending_age_s
from portal.mail.outbox import count_outbox
from portal.orders.exposure.watch import highest_ratios
from portal.orders.figures.open_orders import count_open_orders
from portal.queues.figures import list_queues
from portal.reference.rate_ages import list_rate_ages
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


def _exposure() -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "nostro_exposure_highest_ratio",
        "What the store that is nearest to a limit of exposure has used of it; 1 is all.",
        labels=["limit"],
    )
    for name, ratio in highest_ratios().items():
        family.add_metric([name.value], ratio)
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
        age_s = (datetime.now(UTC) - proof.at).total_seconds()
        yield _gauge("nostro_ledger_verification_age_seconds", "Time since then.", max(age_s, 0.0))
        yield _gauge("nostro_ledger_verification_broken_checks", "Checks that found something.", proof.broken)
        yield _gauge(
            "nostro_ledger_verification_duration_seconds", "How long that took.", proof.duration_ms / 1000
        )


def _chains() -> Iterator[Metric]:
    silent = GaugeMetricFamily(
        "nostro_chain_silent_seconds", "Time since the chain was sealed last.", labels=["chain"]
    )
    stopped = GaugeMetricFamily(
        "nostro_chain_stopped", "1 while the sealer does not go on with it.", labels=["chain"]
    )
    for state in list_chain_states():
        stopped.add_metric([state.chain], float(state.stopped is not None))
        if not state.stopped:
            silent.add_metric([state.chain], state.silent_s)
    yield silent
    yield stopped


def _queue() -> Iterator[Metric]:
    with own_client(get_settings()) as connection:
        yield from _jobs_on(connection)


def _jobs_on(connection: redis.Redis) -> Iterator[Metric]:
    depth = GaugeMetricFamily("nostro_queue_jobs", "Jobs that wait for a worker.", labels=["queue"])
    age = GaugeMetricFamily("nostro_queue_oldest_age_seconds", "Age of the oldest of them.", labels=["queue"])
    for name in WITH_JOBS:
        queue = queue_on(connection, name)
        oldest = next(iter(queue.get_jobs(0, 1)), None)
        age_s = 0.0
        if oldest is not None and oldest.enqueued_at is not None:
            age_s = max((datetime.now(UTC) - _aware(oldest.enqueued_at)).total_seconds(), 0.0)
        depth.add_metric([name.value], queue.count)
        age.add_metric([name.value], age_s)
    yield depth
    yield age


def _queues() -> Iterator[Metric]:
    """The queues of rows, as the administrators' page has them."""
    families = {
        field: GaugeMetricFamily(f"nostro_work_{field}", words, labels=["queue"])
        for field, words in (
            ("waiting", "Rows that wait, counted up to 10,000."),
            ("late_seconds", "How late the first due one is."),
            ("failing", "Rows that wait for another try."),
            ("dead", "Rows that were given up."),
            ("paused", "1 while somebody has stopped the queue."),
        )
    }
    for queue in list_queues():
        found, name = queue.backlog, [queue.name.value]
        families["waiting"].add_metric(name, found.depth)
        families["late_seconds"].add_metric(name, found.late_s)
        families["failing"].add_metric(name, found.failing)
        families["dead"].add_metric(name, found.dead)
        families["paused"].add_metric(name, float(queue.state == "paused"))
    yield from families.values()


def _rates() -> Iterator[Metric]:
    """Pairs that never had a rate have no age: what is absent is what the alert looks for."""
    age = GaugeMetricFamily("nostro_rate_age_seconds", "Age of the rate in force.", labels=["pair"])
    allowed = GaugeMetricFamily(
        "nostro_rate_allowed_age_seconds", "Age from which on orders are refused.", labels=["pair"]
    )
    for one in list_rate_ages():
        allowed.add_metric([one.pair], one.stale_after_s)
        if one.age_s is not None:
            age.add_metric([one.pair], one.age_s)
    yield age
    yield allowed


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


READERS: dict[str, Callable[[], Iterable[Metric]]] = {
    "orders": _orders,
    "exposure": _exposure,
    "outbox": _outbox,
    "webhooks": _webhooks,
    "mail": _mail,
    "clock": _clock,
    "ledger": _ledger,
    "chains": _chains,
    "queue": _queue,
    "queues": _queues,
    "rates": _rates,
}
