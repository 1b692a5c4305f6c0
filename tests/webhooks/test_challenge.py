"""An address that somebody names is not flooded: test calls are few, and live events wait until it has said yes."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from portal.core.actors import Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.modes import Mode
from portal.webhooks import service
from portal.webhooks.challenge import EndpointUnverified, ask_for_answer
from portal.webhooks.models import WebhookEndpoint
from portal.webhooks.probes import TooManyProbes
from portal.webhooks.queries import get_endpoint
from portal.webhooks.test_event import send_test_event
from tests.webhooks.conftest import Stage
from tests.webhooks.receiver import Receiver, receiver, status, wait_until
from tests.webhooks.test_sender import sending

pytestmark = [pytest.mark.races, pytest.mark.usefixtures("loopback_allowed")]


async def echo(running: Receiver, writer: asyncio.StreamWriter) -> None:
    """What a shop that wants to be called answers."""
    content = json.loads(running.received[-1].body)
    await status(200, body=content["data"].get("challenge", "thanks").encode())(running, writer)


def by_merchant(stage: Stage, url: str) -> WebhookEndpoint:
    store = stage.store()
    endpoint, _ = stage.endpoint(url, store=store, mode=Mode.LIVE, actor=Actor(ActorKind.MERCHANT, store))
    return endpoint


def types(running: Receiver) -> list[str]:
    return [json.loads(one.body)["type"] for one in running.received]


@pytest.mark.proves("tried S17")
def test_live_events_wait_until_the_endpoint_gives_its_challenge_back_and_none_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.webhooks.reach.EgressPolicy.from_settings", _http_allowed())
    with receiver(status(200, body=b"no idea")) as third_party, sending(stage):
        endpoint = by_merchant(stage, third_party.url)
        stage.happen_and_relay(endpoint.store_id, 20, mode="live")
        wait_until(lambda: len(third_party.received) >= 1)
        wait_until(lambda: any(line.attempts for line in stage.deliveries(endpoint)))
        assert set(types(third_party)) == {"endpoint.verification"}
        assert stage.fresh(endpoint).verified_at is None
        with pytest.raises(EndpointUnverified), transaction():
            send_test_event(get_endpoint(endpoint.store_id, Mode.LIVE, lock=True))
        third_party.reply = echo
        with transaction():
            ask_for_answer(get_endpoint(endpoint.store_id, Mode.LIVE, lock=True))
        stage.relay()
        wait_until(lambda: types(third_party).count("order.completed") == 20)
        assert stage.fresh(endpoint).verified_at is not None
        stage.happen_and_relay(endpoint.store_id, 1, mode="live")
        wait_until(lambda: types(third_party).count("order.completed") == 21)


def _http_allowed() -> object:
    from portal.core.egress import EgressPolicy

    real = EgressPolicy.from_settings
    return lambda **options: real(**(options | {"allow_http": True}))


@pytest.mark.proves("tried S17")
def test_six_hundred_calls_for_a_test_event_put_a_few_on_a_third_party(stage: Stage) -> None:
    """Of one store five a minute; of all stores together fifty a day on one host."""
    url = "http://third-party.example/hook"
    sent = refused = 0
    for n in range(600):
        if n % 60 == 0:
            endpoint, _ = stage.endpoint(url)
        try:
            with transaction():
                send_test_event(get_endpoint(endpoint.store_id, Mode.TEST, lock=True))
            sent += 1
        except TooManyProbes:
            refused += 1
    assert (sent, refused) == (50, 550)
    with transaction():
        hot("UPDATE webhook_probe SET at = at - interval '2 minutes'")
    endpoint, _ = stage.endpoint(url)
    with pytest.raises(TooManyProbes, match="day"), transaction():
        send_test_event(get_endpoint(endpoint.store_id, Mode.TEST, lock=True))


@pytest.mark.proves("tried S17")
def test_an_endpoint_made_again_and_again_does_not_challenge_without_end(stage: Stage) -> None:
    store, made = stage.store(), 0
    for _ in range(30):
        try:
            with transaction():
                service.set_endpoint(
                    store, Mode.LIVE, service.EndpointUrl("https://other.example/hook"),
                    actor=Actor(ActorKind.MERCHANT, store),
                )  # fmt: skip
            made += 1
            with transaction():
                service.delete_endpoint(get_endpoint(store, Mode.LIVE, lock=True))
        except TooManyProbes:
            pass
    assert made == 5
    with transaction():
        sql = "SELECT count(*) AS n FROM event WHERE type = 'endpoint.verification' AND store_id = %(id)s"
        assert hot(sql, {"id": store})[0]["n"] == 5


def test_another_address_of_a_merchant_has_to_answer_for_itself(stage: Stage) -> None:
    endpoint = by_merchant(stage, "https://shop.example/hook")
    with transaction():
        hot("UPDATE webhook_endpoint SET verified_at = now() WHERE id = %(id)s", {"id": endpoint.id})
    stage.happen_and_relay(endpoint.store_id, 3, mode="live")
    with transaction():
        actor = Actor(ActorKind.MERCHANT, endpoint.store_id)
        url = service.EndpointUrl("https://other.example/hook")
        moved, _ = service.set_endpoint(endpoint.store_id, Mode.LIVE, url, actor=actor)
    assert moved.verified_at is None
    assert {line.next_at.year for line in stage.deliveries(endpoint)} == {9999}


@pytest.mark.parametrize("mode", [Mode.TEST, Mode.LIVE])
def test_what_the_operator_names_and_test_mode_need_no_challenge(stage: Stage, mode: Mode) -> None:
    store = stage.store()
    actor = Actor(ActorKind.MERCHANT, store) if mode is Mode.TEST else Actor(ActorKind.OPS, uuid.uuid4())
    endpoint, _ = stage.endpoint("https://shop.example/hook", store=store, mode=mode, actor=actor)
    assert endpoint.verified_at is not None
