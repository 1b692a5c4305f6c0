"""A store's endpoint: where it may point, and what happens to its secret."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from portal.core.actors import SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.errors import Conflict, NotFound, ValidationFailed
from portal.core.modes import Mode
from portal.webhooks import queries, service
from portal.webhooks.backlog import backlog, dismiss, list_dead
from portal.webhooks.models import WebhookEndpoint
from tests.webhooks.conftest import Stage, settings_with


class TestWhereItMayPoint:
    @pytest.mark.parametrize("mode", list(Mode))
    @pytest.mark.parametrize(
        "url",
        [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://[::1]/",
            "https://10.0.0.1/hook",
            "https://169.254.169.254/latest/meta-data/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://①②⑦.⓪.⓪.①/",
            "https://user:pw@93.184.216.34/",
            "https://93.184.216.34:6379/",
            "file:///etc/passwd",
        ],
    )
    def test_an_internal_address_is_refused_when_it_is_saved(
        self, stage: Stage, url: str, mode: Mode
    ) -> None:
        with pytest.raises(ValidationFailed) as refusal:
            service.check_endpoint_url(url, mode)
        assert [problem.field for problem in refusal.value.errors] == ["url"]

    def test_plain_http_is_for_test_mode(self, stage: Stage) -> None:
        assert service.check_endpoint_url("http://93.184.216.34/hook", Mode.TEST)
        with pytest.raises(ValidationFailed, match="https"):
            service.check_endpoint_url("http://93.184.216.34/hook", Mode.LIVE)

    def test_plain_http_in_live_mode_where_the_operator_allows_it(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with settings_with(monkeypatch, webhooks_allow_http=True):
            assert service.check_endpoint_url("http://93.184.216.34/hook", Mode.LIVE)

    def test_loopback_where_the_operator_wrote_it_down(self, stage: Stage, loopback_allowed: None) -> None:
        assert service.check_endpoint_url("http://127.0.0.1:5055/hook", Mode.TEST)
        with pytest.raises(ValidationFailed):
            service.check_endpoint_url("http://10.0.0.1:5055/hook", Mode.TEST)


class TestTheSecret:
    def test_it_is_given_once_and_kept_encrypted(self, stage: Stage) -> None:
        store = stage.store()
        endpoint, secret = stage.endpoint(store=store)
        assert secret.encode() not in bytes(endpoint.secret_encrypted)
        with transaction():
            again, nothing = service.set_endpoint(
                store, Mode.TEST, service.EndpointUrl("https://93.184.216.34/new")
            )
        assert (again.id, again.url, nothing) == (endpoint.id, "https://93.184.216.34/new", None)
        assert service.reveal_secret(stage.fresh(endpoint)) == secret

    def test_live_and_test_have_an_endpoint_and_a_secret_each(self, stage: Stage) -> None:
        store = stage.store()
        test, test_secret = stage.endpoint(store=store)
        live, live_secret = stage.endpoint(store=store, mode=Mode.LIVE)
        assert test.id != live.id
        assert test_secret != live_secret

    @pytest.mark.races
    def test_of_many_who_create_it_at_once_one_gets_a_secret(self, stage: Stage) -> None:
        def create(store: uuid.UUID, start: Barrier) -> str | None:
            with stage.app.app_context():
                start.wait(5)
                try:
                    with transaction():
                        url = service.EndpointUrl("https://93.184.216.34/")
                        return service.set_endpoint(store, Mode.TEST, url)[1]
                except Conflict as refusal:
                    return refusal.code

        for _ in range(10):
            store, start = stage.store(), Barrier(3)
            with ThreadPoolExecutor(3) as threads:
                told = list(threads.map(create, [store] * 3, [start] * 3))
            secrets = [text for text in told if text and text.startswith("whsec_")]
            assert len(secrets) == 1
            assert set(told) <= {*secrets, None, "endpoint_exists"}
            endpoint = queries.get_endpoint(store, Mode.TEST)
            assert service.reveal_secret(endpoint) == secrets[0]
            db.session.rollback()

    def test_a_second_rotation_drops_the_oldest(self, stage: Stage) -> None:
        endpoint, first = stage.endpoint()
        with transaction():
            _, second = service.rotate_secret(endpoint.store_id, Mode.TEST)
        with transaction():
            rotated, third = service.rotate_secret(endpoint.store_id, Mode.TEST)
        assert len({first, second, third}) == 3
        assert rotated.former_secret_until is not None
        overlap = rotated.former_secret_until - datetime.now(UTC)
        assert timedelta(hours=23) < overlap <= timedelta(hours=24, minutes=1)

    def test_a_store_without_an_endpoint_has_nothing_to_rotate(self, stage: Stage) -> None:
        with pytest.raises(NotFound), transaction():
            service.rotate_secret(stage.store(), Mode.TEST)


class TestEventTypes:
    def test_an_unknown_type_is_refused_and_nothing_is_saved(self, stage: Stage) -> None:
        store = stage.store()
        url = service.EndpointUrl("https://93.184.216.34/")
        for wrong in (["order.completed", "order.teleported"], []):
            with pytest.raises(ValidationFailed), transaction():
                service.set_endpoint(store, Mode.TEST, url, wrong)
        assert queries.find_endpoint(store, Mode.TEST) is None

    def test_only_the_chosen_types_are_delivered(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint(event_types=["order.completed", "payout.completed"])
        stage.happen(endpoint.store_id, type="order.matched")
        (wanted,) = stage.happen_and_relay(endpoint.store_id, type="order.completed")
        assert [line.event_id for line in stage.deliveries(endpoint)] == [wanted]


class TestRedelivery:
    def test_a_strangers_delivery_is_not_there(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        (line,) = stage.deliveries(endpoint)
        for store, mode in ((stage.store(), Mode.TEST), (endpoint.store_id, Mode.LIVE)):
            with pytest.raises(NotFound), transaction():
                service.request_redelivery(store, mode, line.id)
            assert queries.list_deliveries(store, mode) == []
        assert queries.list_attempts(stage.store(), line.id) == []

    def test_a_disabled_endpoint_gets_nothing_and_says_so(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        (line,) = stage.deliveries(endpoint)
        with transaction():
            found = queries.get_endpoint(endpoint.store_id, Mode.TEST, lock=True)
            service.disable_endpoint(found)
        assert [d.state for d in stage.deliveries(endpoint)] == ["dead"]
        with pytest.raises(Conflict) as refusal, transaction():
            service.request_redelivery(endpoint.store_id, Mode.TEST, line.id)
        assert refusal.value.code == "endpoint_disabled"

    def test_replay_brings_back_what_was_given_up_and_what_happened_meanwhile(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        started_at = datetime.now(UTC) - timedelta(minutes=1)
        before = stage.happen_and_relay(endpoint.store_id, 2)
        with transaction():
            service.disable_endpoint(queries.get_endpoint(endpoint.store_id, Mode.TEST, lock=True))
        during = stage.happen_and_relay(endpoint.store_id, 3)
        assert len(stage.deliveries(endpoint)) == 2
        with transaction():
            found = queries.get_endpoint(endpoint.store_id, Mode.TEST, lock=True)
            service.enable_endpoint(found)
            assert service.replay_since(found, started_at, actor=SYSTEM) == 5
        assert {d.event_id for d in stage.deliveries(endpoint)} == set(before + during)
        assert {d.state for d in stage.deliveries(endpoint)} == {"pending"}
        with transaction():
            assert service.replay_since(found, started_at, actor=SYSTEM) == 0, (
                "what is pending is not started anew"
            )

    def test_a_deleted_endpoint_frees_its_place(self, stage: Stage) -> None:
        endpoint, secret = stage.endpoint()
        with transaction():
            service.delete_endpoint(queries.get_endpoint(endpoint.store_id, Mode.TEST, lock=True))
        other, other_secret = stage.endpoint(store=endpoint.store_id)
        assert (other.id, other_secret) != (endpoint.id, secret)
        assert db.session.query(WebhookEndpoint).filter_by(store_id=endpoint.store_id).count() == 2


@pytest.mark.proves("tried N7")
def test_what_had_not_arrived_at_a_deleted_endpoint_is_neither_dead_nor_late(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    given_up, _pending = stage.happen_and_relay(endpoint.store_id, 2)
    with transaction():
        hot(
            "UPDATE webhook_delivery SET state = 'dead', done_at = now() WHERE event_id = %(id)s",
            {"id": given_up},
        )
    stage.pass_time(3600)
    with transaction():
        assert (backlog().dead, backlog().depth) == (1, 1)
        assert backlog().late_s > 3000
        service.delete_endpoint(queries.get_endpoint(endpoint.store_id, Mode.TEST, lock=True))
    with transaction():
        found = backlog()
        assert (found.dead, found.depth, found.failing, found.late_s) == (0, 0, 0, 0)
        assert list_dead(10) == []
    assert [line.state for line in stage.deliveries(endpoint)] == ["dead", "dead"], "they are kept"
    with transaction():  # an event that was on its way when its endpoint went
        hot("UPDATE webhook_delivery SET state = 'pending', next_at = now() - interval '1 hour'")
        assert (backlog().depth, backlog().late_s) == (0, 0)


@pytest.mark.proves("tried N7")
def test_a_dismissed_delivery_that_is_sent_again_counts_again(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    stage.happen_and_relay(endpoint.store_id)
    (line,) = stage.deliveries(endpoint)
    for again in ("by its id", "by its time"):
        with transaction():
            hot("UPDATE webhook_delivery SET state = 'dead', done_at = now()")
            assert backlog().dead == 1, again
            assert dismiss([line.id], 10) == 1
            assert backlog().dead == 0
            assert dismiss(None, 10) == 0
        with transaction():
            if again == "by its id":
                service.request_redelivery(endpoint.store_id, Mode.TEST, line.id)
            else:
                found = queries.get_endpoint(endpoint.store_id, Mode.TEST)
                assert service.replay_since(found, datetime.now(UTC) - timedelta(hours=1), actor=SYSTEM) == 1
    with transaction():
        hot("UPDATE webhook_delivery SET state = 'dead', done_at = now()")
        assert backlog().dead == 1


def test_deliveries_are_listed_newest_event_first_page_by_page(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    ids = sorted(stage.happen_and_relay(endpoint.store_id, 7), reverse=True)
    seen: list[uuid.UUID] = []
    last = None
    while page := queries.list_deliveries(endpoint.store_id, Mode.TEST, after=last, limit=3):
        seen += [line.event_id for line in page]
        last = seen[-1]
    assert seen == ids
