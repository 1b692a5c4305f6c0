"""Shops whose endpoints misbehave, are away for days, and ten thousand webhooks at once after an outage."""

from __future__ import annotations

import asyncio
import resource
import ssl
import time
from collections.abc import Iterator
from ipaddress import ip_network
from itertools import pairwise

import pytest
from flask import Flask

from portal.core.actors import SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.modes import Mode
from portal.events.relay import relay_events
from portal.webhooks import queries, service
from portal.webhooks.fanout import create_deliveries
from portal.webhooks.models import WebhookEndpoint
from portal.webhooks.schedule import DELAYS_S, MAX_ATTEMPTS
from tests.core.certificates import self_signed
from tests.webhooks.conftest import Stage, settings_with
from tests.webhooks.receiver import (
    Received,
    Receiver,
    Reply,
    flood,
    hang,
    receiver,
    reset,
    status,
    wait_until,
)
from tests.webhooks.test_sender import sending

DAY_S = 86400


@pytest.fixture
def hooks(committed_db: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A house whose operator lets webhooks reach this machine's loopback; nothing of others is in the outbox."""
    with settings_with(monkeypatch, egress_allow_networks=(ip_network("127.0.0.0/8"),)):
        with transaction():
            for table in ("webhook_attempt", "webhook_delivery", "webhook_endpoint", "event"):
                hot(f"DELETE FROM {table}")
        yield Stage(committed_db)
        db.session.rollback()


async def trickle(_: Receiver, writer: asyncio.StreamWriter) -> None:
    """One byte a second of an answer that was promised to be long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(1)


class Expired(Receiver):
    """Its certificate ended yesterday."""

    def __init__(self, reply: Reply, serving: ssl.SSLContext) -> None:
        super().__init__(reply)
        self._serving = serving

    @property
    def url(self) -> str:
        return super().url.replace("http://", "https://")

    def start(self) -> None:
        self._thread.start()
        opening = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._serving)
        server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(5)
        self.port = server.sockets[0].getsockname()[1]


@pytest.mark.proves("F25")
@pytest.mark.faults
def test_receivers_that_misbehave_are_cut_off_and_keep_nobody_waiting(hooks: Stage) -> None:
    hooks.allow_seconds(2)
    serving, _ = self_signed("127.0.0.1", days=-1)
    expired = Expired(status(200), serving)
    expired.start()
    bad: dict[str, WebhookEndpoint] = {}
    replies = {"hangs": hang, "trickles": trickle, "resets": reset, "floods": flood}
    running = {name: Receiver(reply) for name, reply in replies.items()}
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        for name, one in running.items():
            one.start()
            bad[name], _ = hooks.endpoint(one.url)
        bad["expired"], _ = hooks.endpoint(expired.url)
        bad["nowhere"], _ = hooks.endpoint("http://nothing.invalid/hook")
        with receiver() as good, sending(hooks) as sender:
            endpoint, _ = hooks.endpoint(good.url)
            for one in bad.values():
                hooks.happen(one.store_id, 5)
            hooks.happen(endpoint.store_id, 200)
            hooks.relay()
            sender.wake()
            started = time.monotonic()
            wait_until(lambda: len(good.received) == 200, 20)
            took_s = time.monotonic() - started
            for name, one in bad.items():
                wait_until(lambda one=one: hooks.deliveries(one)[0].attempts > 0, 20)  # type: ignore[misc]
                assert _errors(hooks, one) == WHAT_IS_KEPT[name], name
        assert took_s < 10, took_s
    finally:
        for shop in (*running.values(), expired):
            shop.stop()
    for name in ("hangs", "trickles"):
        assert all(1900 < ms < 3500 for ms in _latencies(hooks, bad[name])), "one deadline covers it all"
    _in_five_seconds(hooks, bad)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 96 * 1024


# Of an answer without end the beginning is kept, and it is an answer.
WHAT_IS_KEPT = {
    "hangs": {"timeout"}, "trickles": {"timeout"}, "resets": {"connection_failed"}, "floods": {None},
    "expired": {"tls_failed"}, "nowhere": {"no_public_address"},
}  # fmt: skip


def _errors(hooks: Stage, endpoint: WebhookEndpoint) -> set[str | None]:
    return {one.error for line in hooks.deliveries(endpoint) for one in hooks.attempts(line)}


def _latencies(hooks: Stage, endpoint: WebhookEndpoint) -> list[int]:
    return [one.latency_ms for line in hooks.deliveries(endpoint) for one in hooks.attempts(line)]


def _in_five_seconds(hooks: Stage, bad: dict[str, WebhookEndpoint]) -> None:
    """What failed once is due again after its first pause, and not before."""
    sql = """
    SELECT extract(epoch FROM d.next_at - a.at)::float8 AS pause FROM webhook_delivery d
      JOIN webhook_attempt a ON a.delivery_id = d.id
     WHERE d.endpoint_id = ANY(%(ids)s) AND d.attempts = 1 AND d.state = 'pending' AND d.lease_until IS NULL
    """
    with transaction():
        pauses = [row["pause"] for row in hot(sql, {"ids": [one.id for one in bad.values()]})]
    assert len(pauses) >= 5
    assert all(DELAYS_S[0] * 0.9 - 0.5 < pause < DELAYS_S[0] * 1.1 + 0.5 for pause in pauses), pauses


@pytest.mark.proves("F26")
@pytest.mark.faults
def test_an_endpoint_that_is_down_for_three_days_gets_everything_in_the_end(hooks: Stage) -> None:
    with receiver(status(503)) as shop, sending(hooks) as sender:
        endpoint, secret = hooks.endpoint(shop.url)
        with transaction():
            began = hot("SELECT clock_timestamp() - interval '4 days' AS at")[0]["at"]
        happened = hooks.happen_and_relay(endpoint.store_id)
        sender.wake()
        first = hooks.deliveries(endpoint)[0]
        for number, pause in enumerate(DELAYS_S, 1):
            wait_until(lambda n=number: len(hooks.attempts(first)) >= n)  # type: ignore[misc]
            if hooks.fresh(endpoint).disabled_at:
                break
            assert pause * 0.9 - 3 < _until_next(first.id) < pause * 1.1 + 3, number
            hooks.pass_time(pause * 1.1 + 1)
            if number % 3 == 0:
                happened += hooks.happen_and_relay(endpoint.store_id)
            sender.wake()
        hooks.pass_time(DAY_S)
        happened += hooks.happen_and_relay(endpoint.store_id)
        sender.wake()
        wait_until(lambda: hooks.fresh(endpoint).disabled_reason == "failing")
        calls = len(shop.received)
        happened += hooks.happen_and_relay(endpoint.store_id, 3)
        shop.reply = status(200)
        with transaction():
            found = queries.get_endpoint(endpoint.store_id, Mode.TEST, lock=True)
            service.enable_endpoint(found)
            # The relay may have handed one over in the moment in which the sender switched the endpoint off.
            sql = "SELECT id FROM webhook_delivery WHERE endpoint_id = %(id)s AND state = 'pending'"
            waits = len(hot(sql, {"id": found.id}))
            assert waits <= 1
            assert service.replay_since(found, began, actor=SYSTEM) == len(happened) - waits
        sender.wake()
        wait_until(lambda: {line.state for line in hooks.deliveries(endpoint)} == {"delivered"})
        after = shop.received[calls:]
    assert len(hooks.attempts(first)) <= MAX_ATTEMPTS + 1
    assert len(after) == len({one.id for one in after}) == len(happened)
    assert all(one.verified_by(secret) for one in after)


def _until_next(delivery: object) -> float:
    sql = "SELECT extract(epoch FROM next_at - clock_timestamp())::float8 AS s FROM webhook_delivery WHERE id = %(id)s"
    with transaction():
        return float(hot(sql, {"id": delivery})[0]["s"])


SHOPS, EACH, OF_A_DEAD_ONE = 40, 250, 100
_OVERDUE = """
INSERT INTO event (id, type, mode, store_id, subject_kind, subject_id, version, data, created_at, next_at)
SELECT gen_random_uuid(), 'order.completed', 'test', %(store)s, 'order', gen_random_uuid(), 1, '{"object": "order"}',
       clock_timestamp() - interval '6 hours', clock_timestamp() - interval '6 hours' FROM generate_series(1, %(n)s)
"""
_LEFT = """
SELECT (SELECT count(*) FROM event WHERE state = 'pending' AND store_id <> %(dead)s)
     + (SELECT count(*) FROM webhook_delivery d JOIN webhook_endpoint e ON e.id = d.endpoint_id
         WHERE d.state = 'pending' AND e.store_id <> %(dead)s) AS n
"""


@pytest.mark.proves("F35")
@pytest.mark.faults
@pytest.mark.timeout(300)
def test_ten_thousand_that_are_overdue_drain_and_nobody_is_flooded(hooks: Stage) -> None:
    hooks.allow_seconds(5)
    with receiver() as shop, receiver(status(503)) as dead, sending(hooks) as sender:
        failing, _ = hooks.endpoint(dead.url)
        _overdue([hooks.endpoint(shop.url)[0] for _ in range(SHOPS)], EACH)
        _overdue([failing], OF_A_DEAD_ONE)
        left = [_left(failing)]
        until = time.monotonic() + 240
        while left[-1]:
            assert time.monotonic() < until, left[-5:]
            if relay_events(create_deliveries):
                sender.wake()
            else:
                time.sleep(0.2)
            left.append(_left(failing))
        told, most, calls = len({one.id for one in shop.received}), dead.most_at_once, len(shop.received)
        refused = list(dead.received)
    assert left[0] == SHOPS * EACH
    assert all(after <= before for before, after in pairwise(left)), "it only ever gets less"
    assert told == calls == SHOPS * EACH, "each once"
    assert most <= 4
    _rested(refused)


def _overdue(endpoints: list[WebhookEndpoint], each: int) -> None:
    with transaction():
        for endpoint in endpoints:
            hot(_OVERDUE, {"store": endpoint.store_id, "n": each})


def _left(failing: WebhookEndpoint) -> int:
    with transaction():
        return int(hot(_LEFT, {"dead": failing.store_id})[0]["n"])


def _rested(refused: list[Received]) -> None:
    """What failed comes back after its pause, and no two pauses are alike."""
    assert len(refused) >= 5
    calls: dict[str, list[float]] = {}
    for one in refused:
        calls.setdefault(one.id, []).append(one.at)
    pauses = [after - before for times in calls.values() for before, after in pairwise(times)]
    assert all(pause > DELAYS_S[0] * 0.9 - 0.1 for pause in pauses), pauses
