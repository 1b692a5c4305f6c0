"""The simulator as the load of a stage, in threads; it remembers what it was told had been done."""

from __future__ import annotations

import itertools
from threading import Event, Thread
from typing import Any

from flask import Flask

from portal.simulator.browser import Browser
from portal.simulator.run import Life, Simulation

_runs = itertools.count(1)
# What a trader's deed leaves in an order's timeline.
_LEFT_BY = {
    "confirmed": {"confirmed", "confirmed_late"},
    "paid out": {"claimed"},
    "accepted": {"matched"},
    "disputed": {"disputed"},
}


class Load(Simulation):
    """`acknowledged` are the steps after creation that somebody was told had happened: (order, one of these events)."""

    def __init__(self, app: Flask, base_url: str, credentials: dict[str, Any], *, seed: int) -> None:
        super().__init__(app, base_url, credentials, seed=seed, run=f"load-{next(_runs)}-{seed}")
        self.acknowledged: list[tuple[str, frozenset[str]]] = []
        self._stop = Event()
        self._thread: Thread | None = None

    def start(self, per_minute: float) -> None:
        def play() -> None:
            self.play(per_minute, 0, self._stop, lambda: None, settle_s=0)

        self._thread = Thread(target=play, name="load", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """No new orders and no more looks; those under way are left as they are."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)

    def told(self) -> list[tuple[str, frozenset[str]]]:
        """All that was acknowledged, creations first."""
        created = frozenset({"created"})
        return [(order, created) for order in list(self.order_ids)] + list(self.acknowledged)

    @property
    def created(self) -> int:
        return self.tally.counts["created"]

    @property
    def acts(self) -> int:
        """Everything that went well so far."""
        return sum(self.tally.counts.values())

    def defects(self) -> dict[str, int]:
        """What can't be explained by a fault: the simulator's own (which looks up examples of numbers in the database)."""
        away = {"defect: OperationalError", "defect: AdminShutdown", "defect: DatabaseError"}
        return {k: n for k, n in self.tally.errors.items() if k.startswith("defect: ") and k not in away}

    def _customer_acts(self, browser: Browser, life: Life) -> None:
        was_claimed = life.is_claimed
        super()._customer_acts(browser, life)
        if life.is_claimed and not was_claimed:
            self.acknowledged.append((life.order_id, frozenset({"claimed"})))

    def _done(self, order_id: str, deed: str) -> None:
        if deed in _LEFT_BY:
            self.acknowledged.append((order_id, frozenset(_LEFT_BY[deed])))
        super()._done(order_id, deed)

    def _confirm_payout(self, order_id: str) -> None:
        super()._confirm_payout(order_id)
        self.acknowledged.append((order_id, frozenset({"confirmed"})))
