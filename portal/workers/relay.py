"""`flask relay`: the outbox's relay and the postman in threads, the sender of webhooks in an asyncio loop.

They share a process because one feeds the other: the relay wakes the sender without a detour, and a
small machine runs one process less. All claim rows with leases, so any number of these may run.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event, Thread

import redis
from flask import Flask

from portal.core.db import after_commit, transaction
from portal.core.live import PREFIX, nudge
from portal.core.observability.trace import traced
from portal.core.processes.presence import at_work, present
from portal.core.queues import QueueName, is_paused
from portal.core.redis import listening_client
from portal.events.relay import BATCH, RelayedEvent, relay_events
from portal.settings import get_settings
from portal.webhooks.fanout import create_deliveries
from portal.workers.notices import tell_of_events
from portal.workers.order_metrics import count_events
from portal.workers.postman import post_until
from portal.workers.sender import Sender

log = logging.getLogger(__name__)

POLL_S = 1.0


def handle_events(events: Sequence[RelayedEvent]) -> None:
    """What follows from events: deliveries to write, people to tell, pages to refresh once that is committed."""
    create_deliveries(events)
    tell_of_events(events)
    count_events(events)
    channels = {f"{event.subject_kind}:{event.subject_id}" for event in events}
    channels |= {f"trader:{event.trader_id}" for event in events if event.trader_id}
    after_commit(partial(nudge, *sorted(channels)))


def relay_until(app: Flask, stop: Event, wake: Event, relayed: Callable[[], None]) -> None:
    """Drain the outbox until `stop`; goes on when `wake` is set, and every POLL_S in any case."""
    while not stop.is_set():
        wake.clear()
        try:
            with app.app_context(), traced("relay"):
                count = _relay()
        except Exception:
            log.exception("the relay could not reach the database")
            count = 0
        if count:
            relayed()
        if count < BATCH:
            wake.wait(POLL_S)


def _relay() -> int:
    """Hand on a batch; nothing while the queue of events is paused."""
    with transaction():
        if is_paused(QueueName.EVENTS):
            return 0
    with at_work("relay", "handing on events"):
        return relay_events(handle_events)


def wake_until(stop: Event, wake: Event, redis_url: str) -> None:
    """Set `wake` whenever something happened to an order. Without Redis it is polled alone."""
    while not stop.is_set():
        try:
            with listening_client(redis_url) as client, client.pubsub() as listening:
                listening.psubscribe(f"{PREFIX}order:*")
                while not stop.is_set():
                    if listening.get_message(ignore_subscribe_messages=True, timeout=POLL_S):
                        wake.set()
        except redis.RedisError:
            stop.wait(POLL_S)


def run_relay(app: Flask) -> None:
    """Run until SIGTERM or SIGINT; then stop within 5 seconds and give back what was claimed."""
    with present(app, "relay", "relay", "sender", "postman"):
        asyncio.run(_run(app))


async def _run(app: Flask) -> None:
    loop = asyncio.get_running_loop()
    stop, stop_threads, wake = asyncio.Event(), Event(), Event()
    sender = Sender(app)

    def stop_all() -> None:
        stop.set()
        stop_threads.set()
        wake.set()
        sender.wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_all)
    redis_url = get_settings().redis_url.get_secret_value()
    threads = [
        Thread(target=relay_until, args=(app, stop_threads, wake, sender.wake), name="relay"),
        Thread(target=wake_until, args=(stop_threads, wake, redis_url), name="relay-wake", daemon=True),
        # Not waited for: a mail server may take its time, and what was claimed is claimed again.
        Thread(target=post_until, args=(app, stop_threads), name="postman", daemon=True),
    ]
    for thread in threads:
        thread.start()
    log.info("relay started")
    try:
        await sender.run(stop)
    finally:
        stop_all()
        for thread in threads:
            thread.join(2)
    log.info("relay stopped")
