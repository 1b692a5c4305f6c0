"""The sender against real receivers on loopback, good ones and bad ones."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from threading import Event, Thread

import pytest
from standardwebhooks import WebhookVerificationError

from portal.core.db import transaction
from portal.core.modes import Mode
from portal.webhooks import service
from portal.webhooks.models import WebhookDelivery, WebhookEndpoint
from portal.workers.sender import Sender
from tests.webhooks.conftest import Stage
from tests.webhooks.receiver import Received, Receiver, flood, hang, receiver, reset, status, wait_until


@contextmanager
def sending(stage: Stage) -> Iterator[Sender]:
    """A sender at work in a thread; stopped and joined at the end."""
    sender = Sender(stage.app)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = Thread(target=lambda: loop.run_until_complete(sender.run(stop)))
    thread.start()

    def stop_now() -> None:
        stop.set()
        sender.wake()

    try:
        yield sender
    finally:
        loop.call_soon_threadsafe(stop_now)
        thread.join(10)
        assert not thread.is_alive()
        loop.close()


def card_number() -> str:
    """A number that nobody has yet, with its check digit (Luhn)."""
    digits = [4, 2, 7, 6] + [random.randrange(10) for _ in range(11)]
    doubled = [d if place % 2 else sum(divmod(2 * d, 10)) for place, d in enumerate(digits)]
    return "".join(map(str, [*digits, -sum(doubled) % 10]))


def line_of(stage: Stage, endpoint: WebhookEndpoint) -> WebhookDelivery:
    (line,) = stage.deliveries(endpoint)
    return line


def attempted(stage: Stage, endpoint: WebhookEndpoint, times: int = 1) -> WebhookDelivery:
    wait_until(lambda: line_of(stage, endpoint).attempts >= times)
    return line_of(stage, endpoint)


pytestmark = [pytest.mark.races, pytest.mark.usefixtures("loopback_allowed")]


class TestWhatArrives:
    def test_a_signed_request_that_the_library_of_the_specification_verifies(self, stage: Stage) -> None:
        with receiver() as shop, sending(stage):
            endpoint, secret = stage.endpoint(shop.url)
            stage.happen_and_relay(endpoint.store_id, data={"object": "order", "status": "completed"})
            line = attempted(stage, endpoint)
        (request,) = shop.received
        content = request.verified_by(secret)
        assert content == {
            "id": request.id,
            "type": "order.completed",
            "timestamp": content["timestamp"],
            "mode": "test",
            "version": 1,
            "sequence": 0,
            "data": {"object": "order", "status": "completed"},
        }
        assert content["id"].startswith("evt_")
        assert content["timestamp"].endswith("Z")
        assert request.headers["content-type"] == "application/json"
        assert line.state == "delivered"
        (kept,) = stage.attempts(line)
        assert (kept.status_code, kept.answer, kept.error) == (200, "thanks", None)
        with pytest.raises(WebhookVerificationError):
            Received(request.headers, request.body.replace(b"completed", b"cancelled"), 0).verified_by(secret)

    @pytest.mark.proves("tried S8")
    def test_what_an_event_kept_of_the_payment_link_is_not_sent(self, stage: Stage) -> None:
        kept = {
            "object": "order",
            "status": "awaiting_payment",
            "payment_url": "https://pay.example/pay/secret",
        }
        with receiver() as shop, sending(stage):
            endpoint, secret = stage.endpoint(shop.url)
            stage.happen_and_relay(endpoint.store_id, data=kept)
            attempted(stage, endpoint)
        assert shop.received[0].verified_by(secret)["data"] == kept | {"payment_url": None}

    def test_every_attempt_has_the_same_id_and_body_and_its_own_signed_time(self, stage: Stage) -> None:
        with receiver(status(500)) as shop, sending(stage):
            endpoint, secret = stage.endpoint(shop.url)
            stage.happen_and_relay(endpoint.store_id)
            attempted(stage, endpoint)
            time.sleep(1)
            stage.pass_time(6)
            attempted(stage, endpoint, 2)
            shop.reply = status(200)
            stage.pass_time(40)
            line = attempted(stage, endpoint, 3)
        assert line.state == "delivered"
        assert len({(request.id, request.body) for request in shop.received}) == 1
        assert len({request.headers["webhook-timestamp"] for request in shop.received}) >= 2
        for request in shop.received:
            request.verified_by(secret)
        assert [a.status_code for a in stage.attempts(line)] == [500, 500, 200]

    def test_during_a_rotation_old_and_new_receivers_both_verify(self, stage: Stage) -> None:
        with receiver() as shop, sending(stage):
            endpoint, former = stage.endpoint(shop.url)
            with transaction():
                _, new = service.rotate_secret(endpoint.store_id, Mode.TEST)
            stage.happen_and_relay(endpoint.store_id)
            attempted(stage, endpoint)
            shop.received[0].verified_by(former)
            shop.received[0].verified_by(new)
            stage.pass_time(86400 + 60)
            stage.happen_and_relay(endpoint.store_id)
            wait_until(lambda: len(shop.received) == 2)
            shop.received[1].verified_by(new)
            with pytest.raises(WebhookVerificationError):
                shop.received[1].verified_by(former)

    def test_a_redelivery_arrives_under_the_same_id(self, stage: Stage) -> None:
        with receiver() as shop, sending(stage):
            endpoint, _ = stage.endpoint(shop.url)
            stage.happen_and_relay(endpoint.store_id)
            line = attempted(stage, endpoint)
            with transaction():
                service.request_redelivery(endpoint.store_id, Mode.TEST, line.id)
            wait_until(lambda: len(shop.received) == 2)
            wait_until(lambda: line_of(stage, endpoint).state == "delivered")
        assert shop.received[0].id == shop.received[1].id
        assert shop.received[0].body == shop.received[1].body


class TestReceiversThatMisbehave:
    def failing(
        self, stage: Stage, shop: Receiver, timeout_s: float = 15
    ) -> tuple[WebhookDelivery, str | None]:
        with sending(stage):
            endpoint, _ = stage.endpoint(shop.url)
            stage.happen_and_relay(endpoint.store_id)
            line = attempted(stage, endpoint)
        (kept,) = stage.attempts(line)
        return line, kept.error

    @pytest.mark.proves("F25")
    def test_one_that_hangs_is_cut_off_at_the_deadline(self, stage: Stage) -> None:
        stage.allow_seconds(1)
        with receiver(hang) as shop:
            line, error = self.failing(stage, shop)
        assert (line.state, error) == ("pending", "timeout")
        assert 950 < stage.attempts(line)[0].latency_ms < 2000

    def test_one_that_resets_is_tried_again(self, stage: Stage) -> None:
        with receiver(reset) as shop:
            assert self.failing(stage, shop)[1] == "connection_failed"

    def test_one_that_redirects_inside_is_not_followed(self, stage: Stage) -> None:
        with receiver() as inside, receiver(status(307, f"Location: {inside.url}")) as shop:
            line, _ = self.failing(stage, shop)
        assert stage.attempts(line)[0].status_code == 307
        assert inside.received == []

    @pytest.mark.proves("F25")
    def test_one_that_never_stops_talking_costs_no_memory(self, stage: Stage) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with receiver(flood) as shop, sending(stage):
            endpoint, _ = stage.endpoint(shop.url)
            stage.happen_and_relay(endpoint.store_id)
            line = attempted(stage, endpoint)
        assert line.state == "delivered"
        assert len(stage.attempts(line)[0].answer or "") == 4096
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024

    def test_what_it_says_is_kept_as_text_that_the_database_takes(self, stage: Stage) -> None:
        with receiver(status(500, body=b"\x00\xff<script>" + b"a" * 5000)) as shop:
            line, _ = self.failing(stage, shop)
        answer = stage.attempts(line)[0].answer or ""
        assert answer.startswith("\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}<script>a")
        assert len(answer) == 4096

    def test_an_address_that_became_internal_is_never_called(self, stage: Stage) -> None:
        with receiver() as shop:
            with transaction():
                url = service.EndpointUrl(f"http://[::ffff:127.0.0.1]:{shop.port}/")
                endpoint, _ = service.set_endpoint(stage.store(), Mode.TEST, url)
            with sending(stage):
                stage.happen_and_relay(endpoint.store_id)
                line = attempted(stage, endpoint)
            assert shop.received == []
        assert [a.error for a in stage.attempts(line)] == ["no_public_address"]

    def test_plain_http_of_a_live_store_is_refused_at_every_attempt(self, stage: Stage) -> None:
        with receiver() as shop, sending(stage):
            endpoint, _ = stage.endpoint(shop.url, mode=Mode.LIVE)
            stage.happen_and_relay(endpoint.store_id, mode="live")
            line = attempted(stage, endpoint)
        assert [a.error for a in stage.attempts(line)] == ["scheme_not_allowed"]
        assert shop.received == []


class TestManyAtOnce:
    @pytest.mark.proves("F25")
    def test_dead_endpoints_do_not_delay_another_one(self, stage: Stage) -> None:
        stage.allow_seconds(4)
        with receiver(hang) as dead, receiver() as alive:
            hanging = [stage.endpoint(dead.url)[0] for _ in range(10)]
            endpoint, _ = stage.endpoint(alive.url)
            with sending(stage) as sender:
                for store in hanging:
                    stage.happen(store.store_id, 20)
                stage.relay()
                sender.wake()
                wait_until(lambda: len(dead.received) >= 40)
                delays = []
                for count in range(1, 11):
                    started = time.monotonic()
                    stage.happen_and_relay(endpoint.store_id)
                    sender.wake()
                    wait_until(lambda count=count: len(alive.received) >= count)
                    delays.append(time.monotonic() - started)
        assert median(delays) < 0.5
        assert max(delays) < 1.5

    def test_slow_endpoints_that_answer_do_not_take_the_place_of_the_others(self, stage: Stage) -> None:
        told, answer = Event(), status(200)

        async def when_told(own: Receiver, writer: asyncio.StreamWriter) -> None:
            while not told.is_set():
                await asyncio.sleep(0.05)
            await answer(own, writer)

        with receiver(when_told) as slow, receiver() as quick:
            crowd = [stage.endpoint(slow.url)[0] for _ in range(36)]
            endpoint, _ = stage.endpoint(quick.url)
            for store in crowd:
                stage.happen(store.store_id, 8)
            stage.relay()
            with sending(stage) as sender:
                wait_until(lambda: slow.open_now >= 128)
                stage.happen_and_relay(endpoint.store_id)
                sender.wake()
                wait_until(lambda: len(quick.received) == 1)
                assert slow.open_now >= 128, "none of them has answered yet"
                told.set()
            assert slow.most_at_once <= 36 * 4

    def test_an_endpoint_is_not_called_more_than_four_times_at_once(self, stage: Stage) -> None:
        with receiver(status(200, after_s=0.05)) as shop, sending(stage) as sender:
            endpoint, _ = stage.endpoint(shop.url)
            stage.happen_and_relay(endpoint.store_id, 60)
            sender.wake()
            wait_until(lambda: {d.state for d in stage.deliveries(endpoint)} == {"delivered"})
        assert shop.most_at_once == 4
        assert len(shop.received) == 60

    def test_a_long_queue_drains_without_end_to_end_repeats(self, stage: Stage) -> None:
        with receiver() as shop:
            endpoints = [stage.endpoint(shop.url)[0] for _ in range(20)]
            for endpoint in endpoints:
                stage.happen(endpoint.store_id, 25)
            stage.relay()
            with sending(stage), sending(stage):
                wait_until(lambda: len(shop.received) >= 500, 30)
                for endpoint in endpoints:
                    wait_until(lambda e=endpoint: {d.state for d in stage.deliveries(e)} == {"delivered"})
        assert len({request.id for request in shop.received}) == 500
        assert len(shop.received) == 500


class TestStopping:
    def test_what_is_in_flight_is_given_back_within_five_seconds(self, stage: Stage) -> None:
        with receiver(hang) as shop:
            endpoint, _ = stage.endpoint(shop.url)
            stage.happen_and_relay(endpoint.store_id)
            with sending(stage):
                wait_until(lambda: len(shop.received) == 1)
                started = time.monotonic()
            assert time.monotonic() - started < 5
        line = line_of(stage, endpoint)
        assert (line.state, line.attempts, line.lease_until) == ("pending", 0, None)

    def test_what_is_almost_done_is_finished_and_recorded(self, stage: Stage) -> None:
        with receiver(status(200, after_s=0.7)) as shop:
            endpoint, _ = stage.endpoint(shop.url)
            stage.happen_and_relay(endpoint.store_id)
            with sending(stage):
                wait_until(lambda: len(shop.received) == 1)
        assert line_of(stage, endpoint).state == "delivered"
        assert json.loads(shop.received[0].body)["type"] == "order.completed"
