"""Events leave the outbox at least once each, also past a poisoned one and a frozen relay."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from portal.core.db import db, hot, transaction
from portal.core.modes import Mode
from portal.events import relay
from portal.events.backlog import EVENTS
from portal.events.models import Event
from portal.events.relay import RelayedEvent, relay_events
from portal.webhooks.fanout import create_deliveries
from tests.webhooks.conftest import Stage


def states(ids: Sequence[uuid.UUID]) -> list[str]:
    query = db.select(Event.state).where(Event.id.in_(ids)).order_by(Event.id)
    found = list(db.session.scalars(query))
    db.session.rollback()
    return found


def test_an_event_becomes_one_delivery_for_its_store_and_mode(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    live, _ = stage.endpoint(store=endpoint.store_id, mode=Mode.LIVE)
    neighbour, _ = stage.endpoint()
    ids = stage.happen_and_relay(endpoint.store_id, 3)
    assert [line.event_id for line in stage.deliveries(endpoint)] == sorted(ids)
    assert stage.deliveries(live) == []
    assert stage.deliveries(neighbour) == []
    assert states(ids) == ["done"] * 3


def test_an_event_nobody_listens_to_is_done(stage: Stage) -> None:
    ids = stage.happen_and_relay(stage.store())
    assert states(ids) == ["done"]


def test_what_was_rolled_back_never_happened(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()

    def refused_after_all() -> None:
        with transaction():
            stage.happen(endpoint.store_id)
            raise RuntimeError("the order was refused after all")

    with pytest.raises(RuntimeError):
        refused_after_all()
    stage.relay()
    assert stage.deliveries(endpoint) == []


def test_handling_an_event_again_changes_nothing(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    stage.happen_and_relay(endpoint.store_id, 2)
    before = [(line.id, line.state) for line in stage.deliveries(endpoint)]
    with transaction():
        hot("UPDATE event SET state = 'pending'")
    stage.relay()
    assert [(line.id, line.state) for line in stage.deliveries(endpoint)] == before


def test_a_batch_larger_than_one_claim_is_drained(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    stage.happen(endpoint.store_id, 250)
    counts = []
    while count := relay_events(create_deliveries):
        counts.append(count)
    assert counts == [100, 100, 50]
    assert len(stage.deliveries(endpoint)) == 250


def test_a_poisoned_event_holds_up_only_itself_and_is_dead_in_the_end(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    good = stage.happen(endpoint.store_id, 2)
    (poisoned,) = stage.happen(endpoint.store_id)

    def handle(events: Sequence[RelayedEvent]) -> None:
        create_deliveries(events)
        if any(event.id == poisoned for event in events):
            raise ValueError("cannot be handled")

    relay_events(handle)
    assert states(good) == ["done", "done"]
    assert states([poisoned]) == ["pending"]
    assert len(stage.deliveries(endpoint)) == 2
    assert relay_events(handle) == 0, "it rests before it is tried again"
    for _ in range(relay.MAX_ATTEMPTS - 1):
        stage.pass_time(400)
        assert relay_events(handle) == 1
    assert states([poisoned]) == ["dead"]
    kept = db.session.get_one(Event, poisoned, populate_existing=True)
    assert kept.attempts == relay.MAX_ATTEMPTS
    assert "cannot be handled" in (kept.last_error or "")
    db.session.rollback()
    with transaction():
        assert EVENTS.replay(None, 10) == 1
    stage.relay()
    assert states([poisoned]) == ["done"]
    assert len(stage.deliveries(endpoint)) == 3


def test_an_event_that_its_process_dies_of_is_dead_in_the_end_and_takes_nobody_along(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    before, (poisoned,), after = (stage.happen(endpoint.store_id, n) for n in (2, 1, 2))

    def handle(events: Sequence[RelayedEvent]) -> None:
        if any(event.id == poisoned for event in events):
            raise SystemExit("killed")  # nothing of what follows is done, as in a process that is gone
        create_deliveries(events)

    for nth in range(relay.MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            relay_events(handle)
        # The first time all were in one hand; then each comes alone, and after that the poisoned one last.
        assert states(after) == (["done"] if nth > 1 else ["pending"]) * 2
        stage.pass_time(relay.LEASE_S + 1)
    assert relay_events(handle) == 1
    assert states([poisoned]) == ["dead"]
    assert states(before) == ["done"] * 2
    assert relay_events(handle) == 0


def test_events_that_failed_together_do_not_come_back_together(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    stage.happen(endpoint.store_id, 8)
    with transaction():
        db.session.execute(text("UPDATE event SET attempts = 8 WHERE state = 'pending'"))

    def fail(_events: Sequence[RelayedEvent]) -> None:
        raise ValueError("the handler is broken")

    relay_events(fail)
    waits = "SELECT extract(epoch FROM max(next_at) - min(next_at)) FROM event WHERE attempts = 9"
    assert db.session.scalar(text(waits)) > 5, "of five minutes a tenth to either side"


def test_a_relay_that_was_frozen_past_its_lease_has_its_work_rolled_back(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    ids = stage.happen(endpoint.store_id, 2)

    def frozen(events: Sequence[RelayedEvent]) -> None:
        # While this relay sleeps its lease runs out, and another one claims the same events.
        with stage.app.app_context():
            stage.pass_time(relay.LEASE_S + 1)
            with transaction():
                hot(
                    "UPDATE event SET lease_token = gen_random_uuid(), lease_until = now() + interval '1 min'"
                )
        create_deliveries(events)

    assert relay_events(frozen) == 2
    assert stage.deliveries(endpoint) == []
    assert states(ids) == ["pending", "pending"]


def test_a_relay_that_died_leaves_its_events_to_the_next_one(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    stage.happen(endpoint.store_id, 2)

    def dies(_: Sequence[RelayedEvent]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        relay_events(dies)
    assert relay_events(create_deliveries) == 0, "the lease still holds"
    stage.pass_time(relay.LEASE_S + 1)
    assert relay_events(create_deliveries) == 2
    assert len(stage.deliveries(endpoint)) == 2


def test_the_age_of_the_oldest_pending_event_is_known(stage: Stage) -> None:
    assert relay.oldest_pending_age_s() == 0
    stage.happen(stage.store())
    with transaction():
        hot("UPDATE event SET created_at = created_at - interval '2 min'")
    assert 119 < relay.oldest_pending_age_s() < 125
    stage.relay()
    assert relay.oldest_pending_age_s() == 0
