"""Claims, leases and outcomes, in virtual time: no network here."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.core.actors import SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.egress import Answer
from portal.core.modes import Mode
from portal.webhooks import queries, service
from portal.webhooks.attempt import judge
from portal.webhooks.leases import Claim, claim_deliveries, lease_s, release_deliveries
from portal.webhooks.models import WebhookEndpoint
from portal.webhooks.outcomes import record_outcomes
from portal.webhooks.schedule import DELAYS_S, MAX_ATTEMPTS
from tests.webhooks.conftest import LEASE_S, Stage

DAY_S = 86400


def claim(*, limit: int = 100, per_endpoint: int = 4, failing: bool = False, **busy: Any) -> list[Claim]:
    with transaction():
        return claim_deliveries(
            limit=limit, per_endpoint=per_endpoint, failing=failing, busy=busy.get("busy", {})
        )


def claim_any() -> list[Claim]:
    return claim() + claim(failing=True)


def answered(claimed: Claim, status: int, **headers: str) -> int:
    answer = Answer(status, {k.replace("_", "-"): v for k, v in headers.items()}, b"answer", is_cut=False)
    with transaction():
        return record_outcomes([judge(claimed, answer, 12)])


def seconds_left(stage: Stage, endpoint: WebhookEndpoint) -> float:
    (line,) = stage.deliveries(endpoint)
    return (line.next_at - datetime.now(UTC)).total_seconds()


class TestClaims:
    @pytest.mark.parametrize(("timeout_s", "lease"), [(15, LEASE_S), (60, 130)])
    def test_a_lease_outlasts_the_longest_attempt_twice(
        self, stage: Stage, timeout_s: int, lease: int
    ) -> None:
        stage.allow_seconds(timeout_s)
        assert lease_s() == lease > 2 * timeout_s
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        (claimed,) = claim()
        assert claimed.timeout_s == timeout_s
        (line,) = stage.deliveries(endpoint)
        assert line.lease_until is not None
        assert lease - 2 < (line.lease_until - datetime.now(UTC)).total_seconds() <= lease

    def test_a_delivery_is_claimed_once_while_its_lease_holds(self, stage: Stage) -> None:
        endpoint, secret = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        (claimed,) = claim()
        assert claimed.secrets == (secret,)
        assert claim() == []
        stage.pass_time(LEASE_S - 2)
        assert claim() == []
        stage.pass_time(3)
        assert [again.id for again in claim()] == [claimed.id]

    def test_one_endpoint_gets_no_more_than_its_share(self, stage: Stage) -> None:
        loud, _ = stage.endpoint()
        quiet, _ = stage.endpoint()
        stage.happen_and_relay(loud.store_id, 50)
        stage.happen_and_relay(quiet.store_id, 1)
        taken = Counter(claimed.endpoint_id for claimed in claim())
        assert taken == {loud.id: 4, quiet.id: 1}
        assert claim(busy={loud.id: 4}) == []
        assert len(claim(busy={loud.id: 3})) == 1

    def test_an_endpoint_that_fails_is_claimed_apart(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id, 3)
        answered(claim()[0], 500)
        assert stage.fresh(endpoint).failing_since is not None
        stage.pass_time(LEASE_S + 10)
        assert claim() == []
        assert len(claim(failing=True, per_endpoint=1)) == 1

    def test_what_another_sender_has_locked_is_passed_over(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id, 2)
        first = stage.deliveries(endpoint)[0]
        with stage.app.app_context(), transaction():
            hot("SELECT id FROM webhook_delivery WHERE id = %(id)s FOR UPDATE", {"id": first.id})
            with stage.app.app_context():
                assert [c.id for c in claim()] == [stage.deliveries(endpoint)[1].id]

    def test_a_released_claim_can_be_taken_at_once_and_was_no_attempt(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        claimed = claim()
        with transaction():
            release_deliveries(claimed)
        (again,) = claim()
        assert (again.id, again.attempts) == (claimed[0].id, 0)

    def test_a_damaged_secret_stops_nobody_else(self, stage: Stage) -> None:
        damaged, _ = stage.endpoint()
        healthy, _ = stage.endpoint()
        stage.happen_and_relay(damaged.store_id)
        stage.happen_and_relay(healthy.store_id)
        with transaction():
            hot("UPDATE webhook_endpoint SET secret_encrypted = 'x' WHERE id = %(id)s", {"id": damaged.id})
        assert {(c.endpoint_id, c.is_broken) for c in claim()} == {(damaged.id, True), (healthy.id, False)}


class TestFencing:
    def test_the_late_result_of_an_expired_lease_is_discarded(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        (frozen,) = claim()
        stage.pass_time(LEASE_S + 1)
        (second,) = claim()
        assert answered(second, 200) == 1
        assert answered(frozen, 500) == 0
        (line,) = stage.deliveries(endpoint)
        assert (line.state, line.attempts) == ("delivered", 1)
        assert [a.status_code for a in stage.attempts(line)] == [200]
        assert stage.fresh(endpoint).failing_since is None

    def test_a_late_result_does_not_touch_a_lease_that_somebody_else_holds(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        (frozen,) = claim()
        stage.pass_time(LEASE_S + 1)
        (second,) = claim()
        assert answered(frozen, 200) == 0
        with transaction():
            release_deliveries([frozen])
        assert claim() == []
        assert answered(second, 200) == 1

    def test_a_late_result_still_counts_when_nobody_else_came(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        (slow,) = claim()
        stage.pass_time(LEASE_S + 1)
        assert answered(slow, 200) == 1

    def test_the_same_result_counts_once(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        (claimed,) = claim()
        assert [answered(claimed, 500), answered(claimed, 500)] == [1, 0]
        (line,) = stage.deliveries(endpoint)
        assert line.attempts == 1


class TestOutcomes:
    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    def test_any_2xx_is_delivered(self, stage: Stage, status: int) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        answered(claim()[0], status)
        (line,) = stage.deliveries(endpoint)
        assert (line.state, line.done_at is not None) == ("delivered", True)
        stage.pass_time(10 * DAY_S)
        assert claim_any() == []

    @pytest.mark.parametrize("status", [100, 301, 302, 307, 308, 400, 401, 404, 418, 429, 500, 502, 503, 504])
    def test_anything_else_is_tried_again(self, stage: Stage, status: int) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        answered(claim()[0], status)
        (line,) = stage.deliveries(endpoint)
        assert (line.state, line.attempts) == ("pending", 1)
        assert 4 < seconds_left(stage, endpoint) < 6

    @pytest.mark.parametrize("status", [429, 500, 502, 503])
    def test_a_receiver_that_asks_for_time_gets_it(self, stage: Stage, status: int) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        answered(claim()[0], status, retry_after="120")
        assert 115 < seconds_left(stage, endpoint) < 121

    @pytest.mark.proves("F26")
    def test_the_whole_schedule_and_then_no_more(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id)
        pauses = []
        for _ in range(MAX_ATTEMPTS):
            (claimed,) = claim_any()
            answered(claimed, 500)
            pauses.append(seconds_left(stage, endpoint))
            if len(pauses) < MAX_ATTEMPTS:
                stage.pass_time(pauses[-1] - 1)
                assert claim_any() == [], "not a moment before it is due"
                stage.pass_time(1.1)
        for pause, promised in zip(pauses, DELAYS_S, strict=False):
            assert promised * 0.9 - 2 < pause < promised * 1.1 + 2
        (line,) = stage.deliveries(endpoint)
        assert (line.state, line.attempts) == ("dead", 11)
        assert len(stage.attempts(line)) == 11
        stage.pass_time(10 * DAY_S)
        assert claim_any() == []

    def test_410_disables_the_endpoint_at_once(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        stage.happen_and_relay(endpoint.store_id, 3)
        answered(claim()[0], 410)
        found = stage.fresh(endpoint)
        assert (found.disabled_at is not None, found.disabled_reason) == (True, "gone")
        assert {line.state for line in stage.deliveries(endpoint)} == {"dead"}
        stage.happen_and_relay(endpoint.store_id)
        assert claim_any() == []


class TestThreeDaysOfNothingButFailures:
    def fail_once(self, stage: Stage, endpoint: WebhookEndpoint) -> None:
        stage.happen_and_relay(endpoint.store_id)
        for claimed in claim_any():
            answered(claimed, 500)

    @pytest.mark.proves("F26")
    def test_they_disable_the_endpoint_and_a_replay_restores_everything(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        started_at = datetime.now(UTC) - timedelta(days=4)
        for _ in range(6):
            self.fail_once(stage, endpoint)
            stage.pass_time(DAY_S / 2 - 60)
        assert stage.fresh(endpoint).disabled_at is None, "not before three days are over"
        stage.pass_time(600)
        self.fail_once(stage, endpoint)
        assert stage.fresh(endpoint).disabled_reason == "failing"
        stage.happen_and_relay(endpoint.store_id, 2)
        assert claim_any() == []
        with transaction():
            found = queries.get_endpoint(endpoint.store_id, Mode.TEST, lock=True)
            service.enable_endpoint(found)
            assert service.replay_since(found, started_at, actor=SYSTEM) == 9
        while claims := claim_any():
            for claimed in claims:
                answered(claimed, 200)
        assert [line.state for line in stage.deliveries(endpoint)] == ["delivered"] * 9

    def test_one_success_among_them_starts_the_count_anew(self, stage: Stage) -> None:
        endpoint, _ = stage.endpoint()
        for day in range(8):
            self.fail_once(stage, endpoint)
            stage.pass_time(DAY_S)
            if day % 2:
                stage.happen_and_relay(endpoint.store_id)
                for claimed in claim_any():
                    answered(claimed, 200)
                assert stage.fresh(endpoint).failing_since is None
        assert stage.fresh(endpoint).disabled_at is None


class TestRotation:
    def test_both_secrets_sign_for_a_day_and_then_only_the_new_one(self, stage: Stage) -> None:
        endpoint, former = stage.endpoint()
        with transaction():
            _, new = service.rotate_secret(endpoint.store_id, Mode.TEST)
        stage.happen_and_relay(endpoint.store_id)
        (during,) = claim()
        assert during.secrets == (new, former)
        answered(during, 500)
        stage.pass_time(DAY_S + 60)
        (after,) = claim_any()
        assert after.secrets == (new,)


def test_the_body_is_the_same_on_every_attempt_and_redelivery(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    data = {
        "object": "order",
        "status": "completed",
        "amount": "1500.00",
        "metadata": {"имя": "Ёж", "a": None},
    }
    stage.happen_and_relay(endpoint.store_id, data=data)
    bodies = set()
    for _ in range(3):
        (claimed,) = claim_any()
        bodies.add((claimed.message_id, claimed.body))
        answered(claimed, 500)
        stage.pass_time(3600)
    (claimed,) = claim_any()
    answered(claimed, 200)
    with transaction():
        service.request_redelivery(endpoint.store_id, Mode.TEST, claimed.id)
    (again,) = claim_any()
    bodies.add((again.message_id, again.body))
    assert len(bodies) == 1
    assert again.attempts == 0
    db.session.rollback()
