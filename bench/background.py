"""Work in the background: events handed on, webhooks delivered, with slow receivers beside, and jobs."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
import uuid
from collections.abc import Callable
from threading import Thread

from bench.apps import app_for
from bench.run import Run

_EVENTS = """
INSERT INTO event (id, type, mode, store_id, subject_kind, subject_id, version, data)
SELECT gen_random_uuid(), 'order.completed', 'test', %(store)s, 'order', gen_random_uuid(), 1, '{"object": "order"}'
FROM generate_series(1, %(count)s)
"""
_DELAYS = """
SELECT extract(epoch FROM d.done_at - d.created_at)::float8 AS delay_s
FROM webhook_delivery d WHERE d.endpoint_id = ANY(%(ids)s::uuid[]) AND d.state = 'delivered'
ORDER BY d.created_at
"""
# Deliveries a second that one sender shall reach on two cores.
AIM = 1000.0
GOOD, SLOW, SLOW_ANSWER_S = 20, 40, 5.0
ROUNDS = 200


def measure_outbox(run: Run) -> None:
    """Events handed on in a second by one relay, and how long each waited while they came one by one."""
    from portal.core.db import hot, transaction
    from portal.events.relay import relay_events
    from portal.workers.relay import handle_events

    count = run.repeats * 4
    with app_for(run.databases.create("outbox", like="base")) as app, app.app_context():
        store = run.world.store_ids[0]
        _happen(store, count)
        started = time.perf_counter()
        while relay_events(handle_events):
            pass
        per_second = count / (time.perf_counter() - started)
        delays = []
        for _ in range(200):
            started = time.perf_counter()
            _happen(store, 1)
            relay_events(handle_events)
            delays.append(time.perf_counter() - started)
        with transaction():
            left = hot("SELECT count(*) AS n FROM event WHERE state <> 'done'")[0]["n"]
    assert left == 0
    alone = f"an event that comes alone is handed on within {_p95(delays) * 1000:.1f} ms (p95)"
    run.table.report(
        "outbox: events a second, one relay, to those of the webhooks' aim", per_second, AIM, "/s", alone
    )


def measure_webhooks(run: Run) -> None:
    """Deliveries a second to quick receivers, and the wait of good endpoints with and without slow ones beside."""
    alone = _delivered(run, "webhooks", slow=0, count=run.repeats * 4)
    beside = _delivered(run, "webhooks_slow", slow=SLOW, count=run.repeats * 4)
    table = run.table
    table.at_least("webhooks: deliveries a second to the aim", alone[0], AIM, 1.0, "/s")
    table.at_most(f"webhooks: p95 with {SLOW} slow endpoints to without", beside[1], alone[1], 1.1, "s")
    print(f"  webhooks: {alone[0]:.0f}/s alone, {beside[0]:.0f}/s beside {SLOW} slow endpoints")


def measure_jobs(run: Run) -> None:
    """Jobs a second that one worker takes from Redis, ours with nothing to match to one that does nothing."""
    from portal.core.jobs import JOBS

    with app_for(run.databases.create("jobs", like="base")) as app, app.app_context():
        nothing = _worked_off("builtins.dict", run.repeats)
        ours = _worked_off(f"{JOBS}.match_waiting", run.repeats)
    run.table.report("jobs a second to those that do nothing, one worker", ours, nothing, "/s")


def _worked_off(job: str, count: int) -> float:
    import redis
    from rq import SimpleWorker
    from rq.serializers import JSONSerializer

    from portal.core.jobs import queue_on

    with redis.Redis.from_url(os.environ["REDIS_URL"]) as connection:
        queue = queue_on(connection)
        for _ in range(count):
            queue.enqueue_call(job, result_ttl=0, failure_ttl=1)
        started = time.perf_counter()
        worker = SimpleWorker([queue], connection=connection, serializer=JSONSerializer)
        worker.work(burst=True, logging_level="ERROR")
        return count / (time.perf_counter() - started)


def _delivered(run: Run, name: str, *, slow: int, count: int) -> tuple[float, float]:
    """Deliveries a second to the good endpoints, and the 95th percentile of their wait in seconds."""
    from portal.core.db import hot, transaction
    from portal.events.relay import relay_events
    from portal.webhooks.fanout import create_deliveries
    from portal.workers.sender import Sender

    with app_for(run.databases.create(name, like="base")) as app, app.app_context():
        receivers = _Receivers()
        good = [_endpoint(receivers.quick) for _ in range(GOOD)]
        for store, _ in [_endpoint(receivers.slow) for _ in range(slow)]:
            _happen(store, 200)
        for store, _ in good:
            _happen(store, count // GOOD)
        while relay_events(create_deliveries):
            pass
        ids = [endpoint for _, endpoint in good]
        with transaction():
            # The wait is counted from here on: what is measured is the sender.
            hot("UPDATE webhook_delivery SET created_at = clock_timestamp()")
        loop, stop, sender = asyncio.new_event_loop(), asyncio.Event(), Sender(app)
        thread = Thread(target=lambda: loop.run_until_complete(sender.run(stop)))
        started = time.perf_counter()
        thread.start()
        while len(_delays(ids)) < count // GOOD * GOOD:
            assert time.perf_counter() - started < 120, "the sender does not get on"
            time.sleep(0.05)
        seconds = time.perf_counter() - started
        delays = _trickle(good, sender.wake)
        loop.call_soon_threadsafe(stop.set)
        sender.wake()
        thread.join()
        receivers.stop()
    return count / seconds, _p95(delays)


def _trickle(good: list[tuple[uuid.UUID, uuid.UUID]], wake: Callable[[], None]) -> list[float]:
    """The waits of deliveries that come a few at a time, with time to spare between them."""
    from portal.events.relay import relay_events
    from portal.webhooks.fanout import create_deliveries

    ids = [endpoint for _, endpoint in good]
    before = len(_delays(ids))
    for number in range(ROUNDS):
        _happen(good[number % len(good)][0], 1)
        relay_events(create_deliveries)
        wake()
        time.sleep(0.05)
    while len(found := _delays(ids)) < before + ROUNDS:
        time.sleep(0.05)
    return found[-ROUNDS:]


class _Receivers:
    """A quick receiver and a slow one, in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, daemon=True).start()
        self.quick, self.slow = self._start(0.0), self._start(SLOW_ANSWER_S)

    def _start(self, after_s: float) -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                    await reader.readexactly(length)
                    await asyncio.sleep(after_s)
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            except (OSError, asyncio.IncompleteReadError):
                writer.close()

        opening = asyncio.start_server(answer, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(5)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


def _endpoint(url: str) -> tuple[uuid.UUID, uuid.UUID]:
    from portal.core.actors import SYSTEM
    from portal.core.db import transaction
    from portal.core.modes import Mode
    from portal.merchants.service import NewStore, create_merchant, create_store
    from portal.webhooks.service import EndpointUrl, set_endpoint

    with transaction():
        store = create_store(
            create_merchant("Bench", actor=SYSTEM).id, NewStore(name="Bench"), actor=SYSTEM
        ).id
        return store, set_endpoint(store, Mode.TEST, EndpointUrl(url))[0].id


def _happen(store: uuid.UUID, count: int) -> None:
    from portal.core.db import hot, transaction

    with transaction():
        hot(_EVENTS, {"store": store, "count": count})


def _delays(ids: list[uuid.UUID]) -> list[float]:
    from portal.core.db import hot, transaction

    with transaction():
        return [row["delay_s"] for row in hot(_DELAYS, {"ids": ids})]


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
