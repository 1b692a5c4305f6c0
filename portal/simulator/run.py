"""Playing the plans: orders at a steady pace, each followed through its life by a bounded number of threads."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock
from typing import Any

from flask import Flask

from portal.simulator import customer
from portal.simulator.browser import Browser, Page, Refused
from portal.simulator.plans import Fate, Plan, Planner
from portal.simulator.shop import Shop
from portal.simulator.tally import Tally
from portal.simulator.trader import ANOTHER_AMOUNT, Trader

log = logging.getLogger(__name__)

THREADS = 8
TRADER_LOOKS_EVERY_S = 1.0
# How often a customer looks at a page that is still looking for a trader, and how often at an unpaid one.
LOOK_AGAIN_S, LATE_LOOK_S = 2.0, 20.0
MOST_LOOKS = 400


@dataclass(slots=True)
class Life:
    """One simulated order while it is followed."""

    plan: Plan
    order_id: str
    payment_url: str | None
    is_claimed: bool = False
    is_reported: bool = False
    looks: int = 0


@dataclass(order=True, slots=True)
class _Due:
    at: float
    nth: int
    act: Callable[[], None] = field(compare=False)


class Simulation:
    """Owns its threads and connections; `play` runs it once."""

    def __init__(
        self, app: Flask, base_url: str, credentials: dict[str, Any], *, seed: int, run: str
    ) -> None:
        self._app = app
        self.tally = Tally()
        self.order_ids: list[str] = []
        self._base_url = base_url
        self._planner = Planner(seed)
        self.shop = Shop(base_url, credentials["api_key"], run, self.tally)
        self._traders = [
            Trader(Browser(base_url, self.tally.timed), one["email"], one["password"])
            for one in credentials["traders"]
        ]
        self._lives: dict[str, Life] = {}
        self._due: list[_Due] = []
        self._nth = itertools.count()
        self._lock = Lock()
        self._is_over = Event()

    def play(
        self,
        per_minute: float,
        minutes: float,
        stop: Event,
        progress: Callable[[], object],
        *,
        settle_s: float = 30,
    ) -> None:
        """Create orders for so long (0 minutes: until `stop`), then let those that are under way end."""
        started = time.monotonic()
        wanted = round(per_minute * minutes) if minutes else None
        with ThreadPoolExecutor(THREADS, thread_name_prefix="sim") as pool:
            for nth, trader in enumerate(self._traders):
                self._later(0.3 * nth, partial(self._trader_looks, trader))
            created = 0
            while not stop.is_set() and (wanted is None or created < wanted):
                if time.monotonic() >= started + created * 60 / per_minute:
                    plan = self._planner.next()
                    pool.submit(self._guarded, partial(self._begin, plan))
                    created += 1
                    progress()
                self._hand_out(pool)
                stop.wait(0.02)
            ends_at = time.monotonic() + settle_s
            while not stop.is_set() and time.monotonic() < ends_at and self._is_busy():
                self._hand_out(pool)
                stop.wait(0.05)
            self._is_over.set()

    def _is_busy(self) -> bool:
        """Whether anything is under way that ends by itself soon."""
        with self._lock:
            return any(life.plan.fate not in {Fate.ABANDONED, Fate.LATE} for life in self._lives.values())

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        with self._lock:
            heapq.heappush(self._due, _Due(time.monotonic() + seconds, next(self._nth), act))

    def _hand_out(self, pool: ThreadPoolExecutor) -> None:
        now = time.monotonic()
        while True:
            with self._lock:
                if not self._due or self._due[0].at > now:
                    return
                due = heapq.heappop(self._due)
            pool.submit(self._guarded, due.act)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            # Recipients' numbers follow the reference data; everything else goes through the network.
            with self._app.app_context():
                act()
        except Refused as refused:
            self.tally.error(refused.kind)
        except Exception as error:
            log.exception("the simulator has a defect")
            self.tally.error(f"defect: {type(error).__name__}")

    def _begin(self, plan: Plan) -> None:
        order = self.shop.create(plan)
        life = Life(plan, order["id"], order["payment_url"])
        self.tally.count("created")
        if order["status"] == "awaiting_payment":
            self.tally.count("matched at once")
        with self._lock:
            self.order_ids.append(life.order_id)
            self._lives[life.order_id] = life
        if life.payment_url is not None:
            self._later(plan.pause_s, partial(self._customer_looks, life))

    def _customer_looks(self, life: Life) -> None:
        """The customer opens the page, or looks at it again. A browser of their own each time."""
        browser = Browser(self._base_url, self.tally.timed)
        try:
            self._customer_acts(browser, life)
        except Refused:
            self._forget(life.order_id)
            raise
        finally:
            browser.close()

    def _customer_acts(self, browser: Browser, life: Life) -> None:
        assert life.payment_url is not None
        plan = life.plan
        life.looks += 1
        page = customer.look(browser, life.payment_url)
        if page.form_to("/method") is not None or any("method=" in link for link in page.links):
            page = customer.choose_method(browser, page, plan)
        if plan.fate is Fate.LATE:
            self._wait_until_late(browser, life, page)
            return
        if page.form_to("/claim") is None:
            self._look_again(life, LOOK_AGAIN_S)
            return
        if plan.fate is Fate.ABANDONED:
            self._forget(life.order_id)
            self.tally.count("abandoned")
            return
        customer.act(browser, page, plan)
        if plan.fate is Fate.CANCELLED:
            self._forget(life.order_id)
            self.tally.count("cancelled by the customer")
            return
        life.is_claimed = True
        self.tally.count("claimed")

    def _wait_until_late(self, browser: Browser, life: Life, page: Page) -> None:
        if any("/problem/paid_late" in link for link in page.links):
            customer.report_late(browser, page, life.plan)
            self._forget(life.order_id)
            self.tally.count("reported late")
        else:
            self._look_again(life, LATE_LOOK_S)

    def _look_again(self, life: Life, seconds: float) -> None:
        if life.looks > MOST_LOOKS:
            self._forget(life.order_id)
            return
        self._later(seconds, partial(self._customer_looks, life))

    def _trader_looks(self, trader: Trader) -> None:
        try:
            trader.work(self._ask, self._done)
        finally:
            if not self._is_over.is_set():
                self._later(TRADER_LOOKS_EVERY_S, partial(self._trader_looks, trader))

    def _ask(self, order_id: str) -> tuple[Plan, bool] | None:
        with self._lock:
            life = self._lives.get(order_id)
            return (life.plan, life.is_claimed) if life and not life.is_reported else None

    def _done(self, order_id: str, deed: str) -> None:
        self.tally.count(deed)
        if deed == ANOTHER_AMOUNT:
            with self._lock:
                life = self._lives.get(order_id)
            if life is not None:
                life.is_reported = True
                self._later(life.plan.pause_s, partial(self._customer_agrees, life))
        elif deed == "paid out":
            self._later(0.5, partial(self._confirm_payout, order_id))
        elif not deed.startswith("accepted"):
            self._forget(order_id)

    def _customer_agrees(self, life: Life) -> None:
        """Within the store's tolerance nobody asks them."""
        assert life.payment_url is not None
        self._forget(life.order_id)
        browser = Browser(self._base_url, self.tally.timed)
        try:
            is_asked = customer.agree(browser, customer.look(browser, life.payment_url))
        finally:
            browser.close()
        self.tally.count("agreed to another amount" if is_asked else "confirmed")

    def _confirm_payout(self, order_id: str) -> None:
        self._forget(order_id)
        self.shop.confirm_payout(order_id)
        self.tally.count("payout confirmed")

    def _forget(self, order_id: str) -> None:
        with self._lock:
            self._lives.pop(order_id, None)
