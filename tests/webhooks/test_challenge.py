"""An address that somebody names is not flooded: test calls are few, and events wait until it has said yes."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from portal.core.actors import SYSTEM, Actor, ActorKind
from portal.core.db import hot, run_in_transaction, transaction
from portal.core.egress import Answer
from portal.core.modes import Mode
from portal.webhooks import service
from portal.webhooks.attempt import judge
from portal.webhooks.backlog import after_clock_set_back
from portal.webhooks.challenge import EndpointUnverified, ask_for_answer
from portal.webhooks.leases import Claim, claim_deliveries
from portal.webhooks.models import WebhookEndpoint
from portal.webhooks.outcomes import record_outcomes
from portal.webhooks.probes import TooManyProbes
from portal.webhooks.queries import get_endpoint
from portal.webhooks.trial_event import send_test_event
from tests.webhooks.conftest import Stage
from tests.webhooks.receiver import Receiver, receiver, status, wait_until
from tests.webhooks.test_sender import sending

DAY_S = 86400

pytestmark = [pytest.mark.races, pytest.mark.usefixtures("loopback_allowed")]


async def echo(running: Receiver, writer: asyncio.StreamWriter) -> None:
    """What a shop that wants to be called answers."""
    content = json.loads(running.received[-1].body)
    await status(200, body=content["data"].get("challenge", "thanks").encode())(running, writer)


def by_merchant(stage: Stage, url: str, mode: Mode = Mode.LIVE) -> WebhookEndpoint:
    store = stage.store()
    endpoint, _ = stage.endpoint(url, store=store, mode=mode, actor=Actor(ActorKind.MERCHANT, store))
    return endpoint


def types(running: Receiver) -> list[str]:
    return [json.loads(one.body)["type"] for one in running.received]


@pytest.mark.proves("tried S17")
@pytest.mark.parametrize("mode", Mode)
def test_events_wait_until_the_endpoint_gives_its_challenge_back_and_none_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    monkeypatch.setattr("portal.webhooks.egress_policy.EgressPolicy.from_settings", _http_allowed())
    with receiver(status(200, body=b"no idea")) as third_party, sending(stage):
        endpoint = by_merchant(stage, third_party.url, mode)
        stage.happen_and_relay(endpoint.store_id, 20, mode=mode.value)
        wait_until(lambda: len(third_party.received) >= 1)
        wait_until(lambda: any(line.attempts for line in stage.deliveries(endpoint)))
        assert set(types(third_party)) == {"endpoint.verification"}
        assert stage.fresh(endpoint).verified_at is None
        with pytest.raises(EndpointUnverified), transaction():
            send_test_event(get_endpoint(endpoint.store_id, mode, lock=True))
        third_party.reply = echo
        with transaction():
            ask_for_answer(get_endpoint(endpoint.store_id, mode, lock=True))
        stage.relay()
        wait_until(lambda: types(third_party).count("order.completed") == 20)
        assert stage.fresh(endpoint).verified_at is not None
        stage.happen_and_relay(endpoint.store_id, 1, mode=mode.value)
        wait_until(lambda: types(third_party).count("order.completed") == 21)


def _http_allowed() -> object:
    from portal.core.egress import EgressPolicy

    real = EgressPolicy.from_settings
    return lambda **options: real(**(options | {"allow_http": True}))


@pytest.mark.proves("tried S17")
def test_six_hundred_calls_for_a_test_event_put_a_few_on_a_third_party(stage: Stage) -> None:
    """Of one store five a minute; of all stores together a hundred a day on one host."""
    url = "http://third-party.example/hook"
    sent = refused = 0
    for n in range(600):
        if n % 24 == 0:
            endpoint, _ = stage.endpoint(url)
        try:
            with transaction():
                send_test_event(get_endpoint(endpoint.store_id, Mode.TEST, lock=True))
            sent += 1
        except TooManyProbes:
            refused += 1
    assert (sent, refused) == (100, 500)
    with transaction():
        hot("UPDATE webhook_probe SET at = at - interval '2 minutes'")
    endpoint, _ = stage.endpoint(url)
    with pytest.raises(TooManyProbes, match="day are made to one host for all"), transaction():
        send_test_event(get_endpoint(endpoint.store_id, Mode.TEST, lock=True))


@pytest.mark.proves("tried S17")
def test_a_store_that_asks_for_many_addresses_is_bounded_by_itself(stage: Stage) -> None:
    """Five in a minute and fifty in a day, whatever hosts they go to."""
    (endpoint, _), (other, _) = (stage.endpoint("https://shop.example/hook") for _ in range(2))

    def ask(of: WebhookEndpoint) -> None:
        with transaction():
            send_test_event(get_endpoint(of.store_id, Mode.TEST, lock=True))

    for _ in range(5):
        ask(endpoint)
    with pytest.raises(TooManyProbes, match="minute"):
        ask(endpoint)
    with transaction():
        sql = """
        INSERT INTO webhook_probe (store_id, host, at)
        SELECT %(store)s, n || '.example', now() - interval '2 hours' FROM generate_series(1, 45) AS n"""
        hot(sql, {"store": endpoint.store_id})
        hot("UPDATE webhook_probe SET at = at - interval '2 minutes'")
    with pytest.raises(TooManyProbes, match="day"):
        ask(endpoint)
    ask(other)


@pytest.mark.proves("tried S17")
def test_a_store_that_asks_one_host_again_and_again_keeps_no_other_store_from_it(stage: Stage) -> None:
    """Fifty challenges of one store shut the host to all others for a day."""
    url = "https://shared.example/hook"
    endpoint = by_merchant(stage, url)

    def ask() -> None:
        with transaction():
            hot("UPDATE webhook_probe SET at = at - interval '2 minutes'")
            ask_for_answer(get_endpoint(endpoint.store_id, Mode.LIVE, lock=True))

    for _ in range(9):
        ask()
    for _ in range(41):
        with pytest.raises(
            TooManyProbes, match="10 test calls a day are made to one host for one store"
        ) as refusal:
            ask()
        assert 80_000 < (refusal.value.retry_after_s or 0) <= DAY_S
    for _ in range(9):
        assert by_merchant(stage, url).verified_at is None


@pytest.mark.proves("tried S17")
def test_a_challenge_is_tried_three_times_and_then_nobodys_work(stage: Stage) -> None:
    endpoint, tried = by_merchant(stage, "https://shop.example/hook"), 0
    stage.relay()
    for _ in range(11):
        for question in claim_all():
            tried += 1
            answered([question], 200)
        stage.pass_time(DAY_S)
    [line] = stage.deliveries(endpoint)
    assert (tried, line.state, line.attempts) == (3, "dead", 3)
    assert line.dismissed_at is not None
    with transaction():
        hot("UPDATE webhook_endpoint SET verified_at = now() WHERE id = %(id)s", {"id": endpoint.id})
        verified = get_endpoint(endpoint.store_id, Mode.LIVE, lock=True)
        assert service.replay_since(verified, datetime(2020, 1, 1, tzinfo=UTC), actor=SYSTEM) == 0


@pytest.mark.proves("tried S17")
@pytest.mark.parametrize("relayed_between", [True, False])
def test_a_new_challenge_ends_the_one_before(stage: Stage, relayed_between: bool) -> None:
    endpoint = by_merchant(stage, "https://shop.example/hook")
    former: list[Claim] = []
    if relayed_between:
        stage.relay()
        former = claim_all()
    with transaction():
        ask_for_answer(get_endpoint(endpoint.store_id, Mode.LIVE, lock=True))
    answered(former, 200, b"".join(str(one.challenge).encode() for one in former), ended=len(former))
    assert stage.fresh(endpoint).verified_at is None
    stage.relay()
    stage.pass_time(DAY_S)
    [question] = claim_all()
    assert [question.challenge] != [one.challenge for one in former]
    answered([question], 200, str(question.challenge).encode())
    assert stage.fresh(endpoint).verified_at is not None


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


@pytest.mark.parametrize("mode", Mode)
def test_what_the_operator_names_needs_no_challenge(stage: Stage, mode: Mode) -> None:
    actor = Actor(ActorKind.OPS, uuid.uuid4())
    endpoint, _ = stage.endpoint("https://shop.example/hook", mode=mode, actor=actor)
    assert endpoint.verified_at is not None


@pytest.mark.proves("tried S17")
def test_a_hundred_orders_of_test_mode_put_one_call_on_a_third_party(stage: Stage) -> None:
    endpoint = by_merchant(stage, "http://third-party.example/hook", Mode.TEST)
    stage.happen_and_relay(endpoint.store_id, 100)
    [question] = claim_all()
    assert question.challenge is not None


def verified_with_live_events(stage: Stage) -> WebhookEndpoint:
    """A merchant's endpoint that has answered, twenty events and another challenge due for it."""
    endpoint = by_merchant(stage, "https://shop.example/hook")
    stage.relay()
    with transaction():
        hot("UPDATE webhook_endpoint SET verified_at = now() WHERE id = %(id)s", {"id": endpoint.id})
    stage.happen_and_relay(endpoint.store_id, 20, mode="live")
    return endpoint


def point(endpoint: WebhookEndpoint, url: str) -> None:
    with transaction():
        actor = Actor(ActorKind.MERCHANT, endpoint.store_id)
        service.set_endpoint(endpoint.store_id, Mode.LIVE, service.EndpointUrl(url), actor=actor)


def claim_all() -> list[Claim]:
    return [
        claim
        for failing in (False, True)
        for claim in run_in_transaction(
            lambda failing=failing: claim_deliveries(limit=100, per_endpoint=100, failing=failing, busy={})
        )
    ]


def answered(claims: list[Claim], status_code: int, body: bytes = b"no", *, ended: int = 0) -> None:
    """All are recorded but for those that `ended` meanwhile."""
    answer = Answer(status_code, {}, body, is_cut=False)
    with transaction():
        assert record_outcomes([judge(claim, answer, 12) for claim in claims]) == len(claims) - ended


@pytest.mark.proves("tried S17")
def test_what_was_under_way_to_the_former_address_is_not_tried_again_at_an_unverified_one(
    stage: Stage,
) -> None:
    endpoint = verified_with_live_events(stage)
    under_way = claim_all()
    assert len(under_way) == 21
    point(endpoint, "https://victim.example/hook")
    answered(under_way, 500, ended=1)
    stage.pass_time(DAY_S)
    assert claim_all() == []
    assert sorted(line.state for line in stage.deliveries(endpoint)) == ["dead"] + ["pending"] * 20
    stage.relay()
    [question] = claim_all()
    assert (question.url, question.challenge is not None) == ("https://victim.example/hook", True)
    answered([question], 200, str(question.challenge).encode())
    assert stage.fresh(endpoint).verified_at is not None
    assert len(claim_all()) == 20  # it has said yes: nothing is lost but the former address's question


@pytest.mark.proves("tried S17")
def test_an_unverified_endpoint_gets_its_challenge_alone_whatever_is_due(stage: Stage) -> None:
    """As when an event was relayed at the very moment that the endpoint was pointed elsewhere."""
    endpoint = by_merchant(stage, "https://shop.example/hook")
    stage.happen_and_relay(endpoint.store_id, 3, mode="live")
    with transaction():
        hot("UPDATE webhook_delivery SET next_at = now() WHERE endpoint_id = %(id)s", {"id": endpoint.id})
    [question] = claim_all()
    assert question.challenge is not None


@pytest.mark.proves("tried S17")
def test_a_clock_that_was_set_back_keeps_nothing_from_being_released(stage: Stage) -> None:
    endpoint = by_merchant(stage, "https://shop.example/hook")
    stage.happen_and_relay(endpoint.store_id, 3, mode="live")
    with transaction():
        after_clock_set_back(timedelta(hours=1))
    [question] = claim_all()
    answered([question], 200, str(question.challenge).encode())
    assert len(claim_all()) == 3


@pytest.mark.proves("tried S17")
def test_an_answer_of_the_former_address_verifies_no_other(stage: Stage) -> None:
    endpoint = by_merchant(stage, "https://shop.example/hook")
    stage.relay()
    [question] = claim_all()
    point(endpoint, "https://victim.example/hook")
    answered([question], 200, str(question.challenge).encode(), ended=1)
    assert stage.fresh(endpoint).verified_at is None


@pytest.mark.proves("tried S17")
def test_what_an_unverified_endpoint_missed_is_not_replayed(stage: Stage) -> None:
    endpoint = verified_with_live_events(stage)
    point(endpoint, "https://victim.example/hook")
    with transaction():
        moved = get_endpoint(endpoint.store_id, Mode.LIVE, lock=True)
    with pytest.raises(EndpointUnverified), transaction():
        service.replay_since(moved, datetime(2020, 1, 1, tzinfo=UTC), actor=SYSTEM)
    assert {line.next_at.year for line in stage.deliveries(endpoint)} == {9999}


@pytest.mark.proves("tried S17")
def test_one_delivery_is_not_sent_again_to_an_unverified_endpoint(stage: Stage) -> None:
    endpoint = verified_with_live_events(stage)
    point(endpoint, "https://victim.example/hook")
    line = stage.deliveries(endpoint)[0]
    with pytest.raises(EndpointUnverified), transaction():
        service.request_redelivery(endpoint.store_id, Mode.LIVE, line.id)
    assert {line.next_at.year for line in stage.deliveries(endpoint)} == {9999}
