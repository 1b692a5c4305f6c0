"""The sender of webhooks: one asyncio loop, many requests in flight, few of them for one endpoint.

The network is never waited for inside a transaction: claim (short transaction), send, record (short
transaction). An endpoint gets at most PER_ENDPOINT requests at once, one that fails gets one, and all
that fail together get at most FAILING_IN_FLIGHT, so that the dead never take the place of the living. One that
answers, but slowly, does not either: after SLOW_S a request counts no more for IN_FLIGHT, and its endpoint gets one at once.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import aiohttp
from flask import Flask

from portal.core.db import run_in_transaction
from portal.core.egress import EgressPolicy
from portal.core.egress.post import open_session
from portal.core.modes import Mode
from portal.core.observability import metrics
from portal.core.observability.trace import traced
from portal.core.processes.presence import tell
from portal.core.queues import QueueName, is_paused
from portal.webhooks.attempt import attempt
from portal.webhooks.egress_policy import policy_for
from portal.webhooks.leases import Claim, claim_deliveries, release_deliveries
from portal.webhooks.models import DeliveryState
from portal.webhooks.outcomes import Outcome, record_outcomes

log = logging.getLogger(__name__)
T = TypeVar("T")

IN_FLIGHT = 128
PER_ENDPOINT = 4
FAILING_IN_FLIGHT = 64
POLL_S = 1.0
# A request that takes longer keeps nobody else waiting: it gives its place away, and its endpoint gets no other.
SLOW_S = 0.5
MOST_IN_FLIGHT = 2048
# One that was slow gets one request at once for so long.
SLOW_KNOWN_S = 60.0
COALESCE_S = 0.02  # outcomes that come within this are recorded together
PATIENCE_AT_STOP_S = 3.0


class Sender:
    """Sends until told to stop. `wake` may be called from any thread; `run` belongs to one loop."""

    def __init__(self, app: Flask, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._app = app
        self._ssl_context = ssl_context
        self._database = ThreadPoolExecutor(1, thread_name_prefix="sender-db")
        self._in_flight: dict[asyncio.Task[None], Claim] = {}
        self._slow_until: dict[uuid.UUID, float] = {}
        self._began_at: dict[uuid.UUID, float] = {}
        self._finished: list[Outcome] = []
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def wake(self) -> None:
        """There may be something to send: don't wait for the next poll."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def run(self, stop: asyncio.Event) -> None:
        """Claim, send and record until `stop` is set; then finish or give back what is in flight."""
        self._loop = asyncio.get_running_loop()
        # Whether http is allowed is decided per delivery; the connections share one address rule.
        async with open_session(_widest_policy(), ssl_context=self._ssl_context) as session:
            while not stop.is_set():
                try:
                    await self._turn(session)
                except Exception:
                    # The database is away: keep the outcomes, try again, and let /readyz tell.
                    log.exception("the sender could not reach the database")
                    await asyncio.sleep(POLL_S)
            await self._finish()
        self._database.shutdown()

    async def _turn(self, session: aiohttp.ClientSession) -> None:
        self._news.clear()
        await self._record()
        for claim in await self._claim():
            task = asyncio.create_task(self._deliver(session, claim))
            self._in_flight[task] = claim
            self._began_at[claim.id] = time.monotonic()
            task.add_done_callback(self._landed)
        try:
            await asyncio.wait_for(self._news.wait(), POLL_S)
            await asyncio.sleep(COALESCE_S)
        except TimeoutError:
            pass

    async def _claim(self) -> list[Claim]:
        busy = Counter(claim.endpoint_id for claim in self._in_flight.values())
        slow = self._slow()
        busy.update(dict.fromkeys((claim.endpoint_id for claim in slow), PER_ENDPOINT))
        now = time.monotonic()
        self._slow_until = {one: until for one, until in self._slow_until.items() if until > now}
        busy.update(dict.fromkeys(self._slow_until, PER_ENDPOINT - 1))
        room = min(IN_FLIGHT - (len(self._in_flight) - len(slow)), MOST_IN_FLIGHT - len(self._in_flight))
        room_for_failing = FAILING_IN_FLIGHT - sum(claim.is_failing for claim in self._in_flight.values())

        def work() -> list[Claim]:
            if is_paused(QueueName.WEBHOOKS):
                return []
            healthy = claim_deliveries(limit=room, per_endpoint=PER_ENDPOINT, failing=False, busy=busy)
            left = min(room - len(healthy), room_for_failing)
            return healthy + claim_deliveries(limit=left, per_endpoint=1, failing=True, busy=busy)

        return await self._in_database(work) if room > 0 else []

    def _slow(self) -> list[Claim]:
        """What is in flight for so long that its endpoint must be slow."""
        since = time.monotonic() - SLOW_S
        return [claim for claim in self._in_flight.values() if self._began_at.get(claim.id, since) < since]

    async def _deliver(self, session: aiohttp.ClientSession, claim: Claim) -> None:
        tell("sender", f"{len(self._in_flight)} in flight")
        outcome = await attempt(session, claim)
        metrics.webhook_attempts.labels(result_of(outcome)).observe(outcome.latency_ms / 1000)
        self._finished.append(outcome)
        waiting = len(self._in_flight) - 1
        tell("sender", f"{waiting} in flight" if waiting else "", done=1)

    def _landed(self, task: asyncio.Task[None]) -> None:
        claim = self._in_flight.pop(task)
        if time.monotonic() - self._began_at.pop(claim.id, time.monotonic()) > SLOW_S:
            self._slow_until[claim.endpoint_id] = time.monotonic() + SLOW_KNOWN_S
        if not task.cancelled() and task.exception() is not None:
            # A defect of ours: the lease runs out and the delivery is tried again.
            log.error(
                "a delivery could not be attempted",
                exc_info=task.exception(),
                extra={"delivery": str(claim.id)},
            )
        self._news.set()

    async def _record(self) -> None:
        outcomes = list(self._finished)
        if outcomes:
            await self._in_database(lambda: record_outcomes(outcomes))
            del self._finished[: len(outcomes)]

    async def _finish(self) -> None:
        if self._in_flight:
            await asyncio.wait(list(self._in_flight), timeout=PATIENCE_AT_STOP_S)
        abandoned = dict(self._in_flight)
        for task in abandoned:
            task.cancel()
        await asyncio.gather(*abandoned, return_exceptions=True)
        await self._record()
        await self._in_database(lambda: release_deliveries(list(abandoned.values())))

    async def _in_database(self, work: Callable[[], T]) -> T:
        def within_app() -> T:
            with self._app.app_context(), traced("sender"):
                return run_in_transaction(work)

        return await asyncio.get_running_loop().run_in_executor(self._database, within_app)


def result_of(outcome: Outcome) -> str:
    """How an attempt ended, in three words for the metrics."""
    if outcome.state is DeliveryState.DELIVERED:
        return "delivered"
    return "unreachable" if outcome.status_code is None else "refused"


def _widest_policy() -> EgressPolicy:
    return policy_for(Mode.TEST)
