"""What the processes count and time, for Prometheus; portal.workers.exporter serves it.

Names end in their unit, labels are bounded: a rule of the router, a code of ours, a currency; never an id,
a path or anything that a caller chooses. A test holds that.
"""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

registry = CollectorRegistry()

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FAST = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)

requests = Histogram(
    "nostro_http_request_duration_seconds",
    "Time to answer, by the router's rule; streams count until their first byte.",
    ("method", "route", "status"),
    registry=registry,
    buckets=_FAST,
)
refusals = Counter(
    "nostro_refusals_total",
    "Requests of the API that were refused, by problem code.",
    ("code",),
    registry=registry,
)
order_events = Counter(
    "nostro_order_events_total",
    "What happened to orders, once committed.",
    ("type", "mode"),
    registry=registry,
)
money = Counter(
    "nostro_money_moved_minor_units_total",
    "Money that completed orders moved, in minor units of the currency.",
    ("direction", "mode", "currency"),
    registry=registry,
)
match_wait = Histogram(
    "nostro_match_wait_seconds",
    "From a payin's creation to its requisite.",
    ("mode", "method"),
    registry=registry,
    buckets=_SLOW,
)
unmatched = Counter(
    "nostro_match_refusals_total",
    "Requisites turned away in searches that found none, by condition.",
    ("reason",),
    registry=registry,
)
exposure_refusals = Counter(
    "nostro_exposure_refusals_total",
    "Payins that were given no requisite because a limit of exposure was reached.",
    ("limit",),
    registry=registry,
)
shortfalls = Counter(
    "nostro_shortfalls_accepted_total",
    "Payins completed below their amount on the trader's word alone, within the store's tolerance.",
    ("mode",),
    registry=registry,
)
shortfalls_minor = Counter(
    "nostro_shortfalls_accepted_minor_units_total",
    "What they were short of, in minor units of the settlement currency.",
    ("mode", "currency"),
    registry=registry,
)
silent_completions = Counter(
    "nostro_payouts_silently_completed_total",
    "Payouts completed because nobody objected in time.",
    ("mode",),
    registry=registry,
)
silent_completions_minor = Counter(
    "nostro_payouts_silently_completed_minor_units_total",
    "What they were worth, in minor units of the settlement currency.",
    ("mode", "currency"),
    registry=registry,
)
webhook_attempts = Histogram(
    "nostro_webhook_attempt_duration_seconds",
    "Time of one attempt to deliver a webhook.",
    ("result",),
    registry=registry,
    buckets=_SLOW,
)
jobs = Histogram(
    "nostro_job_duration_seconds",
    "Time of a job of the queue.",
    ("job", "result"),
    registry=registry,
    buckets=_SLOW,
)
duties = Histogram(
    "nostro_clock_duty_duration_seconds",
    "Time of a duty of the clock.",
    ("duty", "result"),
    registry=registry,
    buckets=_SLOW,
)
uploads = Histogram(
    "nostro_upload_check_duration_seconds",
    "Time until an uploaded file was read, waiting included; killed: its reader took too much.",
    ("kind", "result"),
    registry=registry,
    buckets=_SLOW,
)
errors = Counter("nostro_errors_total", "Errors written to the log.", ("role",), registry=registry)
pool = Gauge(
    "nostro_db_pool_connections",
    "Database connections of all processes of a role, by state.",
    ("role", "state"),
    registry=registry,
    multiprocess_mode="livesum",
)
streams = Gauge(
    "nostro_live_streams",
    "Open server-sent event streams, by kind.",
    ("kind",),
    registry=registry,
    multiprocess_mode="livesum",
)
memory = Gauge(
    "nostro_resident_memory_bytes",
    "Resident memory of all processes of a role.",
    ("role",),
    registry=registry,
    multiprocess_mode="livesum",
)
processes = Gauge(
    "nostro_processes", "Processes alive, by role.", ("role",), registry=registry, multiprocess_mode="livesum"
)
lines_dropped = Gauge(
    "nostro_log_lines_dropped",
    "Log lines that living processes could not write.",
    ("role",),
    registry=registry,
    multiprocess_mode="livesum",
)


def note_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count and time one answer. `route` is a rule of the router, `method` one of METHODS or OTHER."""
    _request_series(method, route, status // 100).observe(seconds)


@lru_cache(maxsize=4096)
def _request_series(method: str, route: str, status_class: int) -> Histogram:
    return requests.labels(method, route, f"{status_class}xx")
