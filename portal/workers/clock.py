"""`flask clock`: what must happen because time has passed. Many may run, one acts.

The one that acts holds an advisory lock on a connection of its own; when it dies, PostgreSQL frees the
lock and another clock takes over within STAND_BY_S; when it only hangs, after HUNG_AFTER_S. Every duty is also safe to run twice, so that the
second in which a cut-off leader does not know it yet costs nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Event, Thread

import psycopg
from flask import Flask

from portal.approvals.service import end_what_has_passed
from portal.audit.chain_sealing import seal_chains
from portal.audit.heads import export_heads
from portal.audit.sealing import FULL as FULL_SEAL
from portal.audit.sealing import seal_waiting
from portal.core.db import release, take_time, transaction
from portal.core.idempotency import delete_old_keys
from portal.core.observability import metrics
from portal.core.observability.trace import traced
from portal.core.processes.presence import at_work, present
from portal.core.processes.stopping import stop_on_signals
from portal.core.queues import QueueName, paused_queues
from portal.disputes.service import open_unconfirmed
from portal.error_reports.service import forget_old_reports
from portal.identity.retention import forget_old_sign_ins
from portal.ledger.service import fold_rollup
from portal.mail.outbox import forget_old_mail
from portal.notifications.service import forget_old_notifications
from portal.orders.exposure.watch import tell_of_exposure
from portal.orders.integrity.proof import prove_ledger_when_due
from portal.orders.service import act_on_due_orders, match_waiting_orders
from portal.orders.service.deadlines import free_limits
from portal.orders.service.silences import beat
from portal.queues.service import after_clock_set_back as queues_after_set_back
from portal.queues.service import finish_draining
from portal.reference import configuration as config
from portal.reference.jobs import refresh_due_rates
from portal.reference.rate_ages import tell_of_ageing_rates
from portal.reference.service import after_clock_set_back as reference_after_set_back
from portal.settings import get_settings
from portal.traders.kyc import expire_verifications

log = logging.getLogger(__name__)

LOCK = 0x6E6F7374_636C6F63  # "nostcloc": the advisory lock of the acting clock
STAND_BY_S = 1.0
# The one that acts asks every STAND_BY_S: PostgreSQL ends the session of one that has not asked for so long.
HUNG_AFTER_S = 10
WAKE_S = 0.5
FULL = 50  # orders in one go; small, so that a stop is obeyed at once


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do every so often. `act` says how much it did; `full` means that more is waiting.

    One with a `queue` rests while that is paused.
    """

    name: str
    every_s: float
    act: Callable[[], int]
    full: int | None = None
    queue: QueueName | None = None


def _beat() -> int:
    moved = beat(config.get(config.OUTAGE_THRESHOLD_S))
    if moved is None:
        return 0
    if moved > timedelta():
        log.warning("the clock was silent; open deadlines were moved", extra={"silence": str(moved)})
        return 0
    log.warning("the database's clock was set back; deadlines move with it", extra={"by": str(-moved)})
    # Apart from the beat: however much there is to move, deadlines go on.
    with transaction():
        take_time()
        reference_after_set_back(-moved)
        queues_after_set_back(-moved)
    return 0


def _fold() -> int:
    with transaction():
        return fold_rollup(5000)


def _forget_keys() -> int:
    with transaction():
        return delete_old_keys(config.get(config.IDEMPOTENCY_RETENTION_H), limit=1000)


def _seal() -> int:
    with transaction():
        return seal_waiting()


def _seal_chains() -> int:
    return int(seal_chains().is_more)


def _export_heads() -> int:
    folder = get_settings().audit_heads_dir
    if folder is None:
        return 0
    with transaction():
        return len(export_heads(folder))


def _forget_told() -> int:
    with transaction():
        mail = forget_old_mail(limit=1000, days=config.get(config.RETENTION_MAIL_DAYS))
        told = forget_old_notifications(limit=1000, days=config.get(config.RETENTION_NOTIFICATIONS_DAYS))
    return max(mail, told)


def _forget_sign_ins() -> int:
    with transaction():
        return forget_old_sign_ins(limit=1000, days=config.get(config.RETENTION_SIGN_INS_DAYS))


def _forget_error_reports() -> int:
    with transaction():
        return forget_old_reports(limit=1000)


def _end_approvals() -> int:
    with transaction():
        return end_what_has_passed()


def _finish_draining() -> int:
    with transaction():
        return finish_draining()


def _expire_verifications() -> int:
    with transaction():
        return expire_verifications(FULL)


# The beat comes first: what was due during an outage gets its time back before anything is acted on.
BEAT = Duty("beat", 0, _beat)
DEADLINES = (
    Duty("due orders", WAKE_S, lambda: act_on_due_orders(FULL, open_case=open_unconfirmed), FULL),
    Duty("waiting payins", WAKE_S, lambda: match_waiting_orders(FULL), None, QueueName.MATCHING),
    Duty("requisite limits", 1.0, lambda: free_limits(config.get(config.DAY_TIMEZONE)), 500),
)
# Apart from the deadlines: a slow feed must not keep an order from ending on time.
_MAINTENANCE = (
    Duty("ledger roll-up", 5.0, _fold, 5000),
    Duty("rates", 5.0, refresh_due_rates),
    Duty("ageing rates", 30.0, tell_of_ageing_rates),
    Duty("old idempotency keys", 30.0, _forget_keys, 1000),
    Duty("old mail and notifications", 60.0, _forget_told, 1000),
    Duty("old sign-ins", 3600.0, _forget_sign_ins, 1000),
    Duty("old error reports", 3600.0, _forget_error_reports, 1000),
    Duty("verifications", 10.0, _expire_verifications, FULL),
    Duty("approvals", 30.0, _end_approvals),
    Duty("audit head", 3600.0, _export_heads),
    Duty("exposure", 10.0, tell_of_exposure),
)
UPKEEP = (
    *(replace(duty, queue=QueueName.MAINTENANCE) for duty in _MAINTENANCE),
    # Never paused: what is not sealed can be changed without being found.
    Duty("audit seals", 2.0, _seal, FULL_SEAL),
    Duty("chains", 5.0, _seal_chains, 1),
    Duty("drained queues", 1.0, _finish_draining),
)


# Apart from all: with a long history it takes minutes.
PROOFS = (Duty("ledger proof", 30.0, prove_ledger_when_due, queue=QueueName.MAINTENANCE),)


class Lane:
    """Duties that take turns. An error in one is logged and does not stop the others."""

    def __init__(
        self, app: Flask, duties: Sequence[Duty], first: Duty | None = None, part: str = "clock"
    ) -> None:
        self._app, self._duties, self._first = app, duties, first
        self._part = part
        self._due = dict.fromkeys((duty.name for duty in duties), 0.0)

    def turn(self) -> None:
        """Do what is due. Nothing is done while `first` fails."""
        if self._first is not None and not self._do(self._first):
            return
        resting = self._resting()
        for duty in self._duties:
            if duty.queue in resting:
                continue
            if time.monotonic() >= self._due[duty.name]:
                self._do(duty)

    def _resting(self) -> frozenset[QueueName | None]:
        """The paused queues. All of them while the database can't say: their work needs it as well."""
        try:
            with self._app.app_context(), transaction():
                return frozenset(paused_queues())
        except Exception:
            log.exception("the clock could not ask which queues are paused")
            return frozenset(QueueName)

    def _do(self, duty: Duty) -> bool:
        with traced(f"clock: {duty.name}"):
            return self._act(duty)

    def _act(self, duty: Duty) -> bool:
        self._due[duty.name] = time.monotonic() + duty.every_s
        try:
            with self._app.app_context(), _timed(duty.name), at_work(self._part, duty.name):
                done = duty.act()
                release()
        except Exception:
            log.exception("a duty of the clock failed", extra={"duty": duty.name})
            return False
        if duty.full is not None and done >= duty.full:
            self._due[duty.name] = 0.0
        return True


@contextmanager
def _timed(duty: str) -> Iterator[None]:
    began_at, result = time.monotonic(), "failed"
    try:
        yield
        result = "done"
    finally:
        metrics.duties.labels(duty, result).observe(time.monotonic() - began_at)


class Leadership:
    """The advisory lock, on a connection that does nothing else."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.Connection[tuple[bool]] | None = None

    def is_ours(self) -> bool:
        """Whether this process acts now; asks the database each time."""
        try:
            if self._connection is None:
                connection = psycopg.connect(
                    self._url,
                    autocommit=True,
                    connect_timeout=2,
                    application_name="nostro clock",
                    options=f"-c statement_timeout=2s -c idle_session_timeout={HUNG_AFTER_S}s",
                    keepalives_idle=2,
                    keepalives_interval=1,
                    keepalives_count=3,
                )
                row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
                if not (row and row[0]):
                    connection.close()
                    return False
                self._connection = connection
            else:
                self._connection.execute("SELECT 1")
        except psycopg.Error as error:
            log.warning("the clock could not reach the database: %s", type(error).__name__)
            self.give_up()
        return self._connection is not None

    def give_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def run_clock(app: Flask, stop: Event | None = None) -> None:
    """Run until SIGTERM, SIGINT or `stop`; then end within 2 seconds. Act only while the lock is ours."""
    stop = stop or stop_on_signals()
    leading = Event()
    leadership = Leadership(
        get_settings().database_url.get_secret_value().replace("postgresql+psycopg", "postgresql")
    )
    lanes = [
        Lane(app, DEADLINES, BEAT, "deadlines"),
        Lane(app, UPKEEP, part="upkeep"),
        Lane(app, PROOFS, part="proofs"),
    ]
    threads = [
        Thread(target=_run_lane, args=(lane, leading, stop), name=f"clock-{number}", daemon=True)
        for number, lane in enumerate(lanes)
    ]
    for thread in threads:
        thread.start()
    log.info("clock started")
    with present(app, "clock", "deadlines", "upkeep", "proofs"):
        _lead(leadership, leading, stop)
    leading.clear()
    for thread in threads:
        thread.join(0.7)
    leadership.give_up()
    log.info("clock stopped")


def _lead(leadership: Leadership, leading: Event, stop: Event) -> None:
    while not stop.is_set():
        ours = leadership.is_ours()
        if ours != leading.is_set():
            log.info("this clock acts" if ours else "this clock stands by")
        (leading.set if ours else leading.clear)()
        stop.wait(STAND_BY_S)


def _run_lane(lane: Lane, leading: Event, stop: Event) -> None:
    while not stop.is_set():
        if leading.wait(WAKE_S) and not stop.is_set():
            lane.turn()
            stop.wait(WAKE_S)
