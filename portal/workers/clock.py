"""The clock: deadlines, waiting matches, limits that come free, roll-ups, rates, and what has grown old.

Everything it does is a row that is due, so any clock on any machine may do it. Many may run; the one that
holds the advisory lock acts, the others stand by and take over when its connection ends.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from portal.core.db import db, hot, transaction
from portal.disputes.service import open_unconfirmed
from portal.ledger.service import fold_rollup
from portal.orders.service import act_on_due_orders, match_waiting_orders
from portal.orders.service.deadlines import beat, free_limits
from portal.reference import configuration as config
from portal.reference.jobs import refresh_due_rates

log = logging.getLogger(__name__)
CLOCK_LOCK = 0x6E6F7374726F  # "nostro": the advisory lock of whoever acts
TICK_S = 0.5

_FORGET_KEYS = """
DELETE FROM idempotency_key WHERE (store_id, mode, path, key) IN (
  SELECT store_id, mode, path, key FROM idempotency_key
   WHERE created_at < now() - make_interval(hours => %(hours)s::int) LIMIT 1000)
RETURNING 1 AS gone
"""


@dataclass
class Duty:
    """Something to do every `every_s` seconds. An error is logged and does not stop the others."""

    name: str
    every_s: float
    act: Callable[[], object]
    due_at: float = 0.0


def forget_old_keys() -> int:
    """Delete idempotency keys past their retention, a batch at a time."""
    with transaction():
        return len(hot(_FORGET_KEYS, {"hours": config.get(config.IDEMPOTENCY_RETENTION_H)}))


def fold_all() -> int:
    """Fold the roll-up until nothing is left."""
    folded = 0
    while True:
        with transaction():
            batch = fold_rollup()
        folded += batch
        if batch < 5000:
            return folded


def duties() -> list[Duty]:
    """In the order of importance: the beat first, because it tells an outage from a deadline."""
    return [
        Duty("beat", 2, lambda: beat(config.get(config.OUTAGE_THRESHOLD_S))),
        Duty("deadlines", 0.5, lambda: act_on_due_orders(open_case=open_unconfirmed)),
        Duty("matching", 1, match_waiting_orders),
        Duty("limits", 2, lambda: free_limits(config.get(config.DAY_TIMEZONE))),
        Duty("roll-up", 5, fold_all),
        Duty("rates", 5, refresh_due_rates),
        Duty("idempotency keys", 300, forget_old_keys),
    ]


def run_due(all_duties: list[Duty], now: float) -> None:
    """Act on every duty that is due; each in its own transactions."""
    for duty in all_duties:
        if now < duty.due_at:
            continue
        duty.due_at = now + duty.every_s
        try:
            duty.act()
        except Exception:
            log.exception("the clock's duty %r failed; the others go on", duty.name)
        finally:
            db.session.remove()


class Clock:
    """One process's clock. `stop` is safe to call from a signal handler."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._stopping = threading.Event()
        self._lock_connection: Connection | None = None

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Tick until stopped. A lost database is waited for, never given up on."""
        work = duties()
        with self._app.app_context():
            while not self._stopping.is_set():
                if self._acts():
                    run_due(work, time.monotonic())
                self._stopping.wait(TICK_S)
            self._let_go()

    def _acts(self) -> bool:
        """Whether this process holds the lock; tries to take it when it does not."""
        try:
            if self._lock_connection is None:
                connection = db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": CLOCK_LOCK}):
                    connection.close()
                    return False
                log.info("this clock acts")
                self._lock_connection = connection
            self._lock_connection.execute(text("SELECT 1"))
            return True
        except SQLAlchemyError:
            log.warning("the clock waits for the database")
            self._let_go()
            return False

    def _let_go(self) -> None:
        """Give the lock back by ending its connection (a pooled one would keep it)."""
        connection, self._lock_connection = self._lock_connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def run_clock(app: Flask) -> None:
    """Run until SIGTERM or SIGINT."""
    clock = Clock(app)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: clock.stop())
    clock.run()
