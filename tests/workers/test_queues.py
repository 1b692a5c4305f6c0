"""Queues: stopped by a row that survives Redis, seen as rows, and tried again for a reason."""

from __future__ import annotations

import json
import time
import uuid

import pytest
import redis as redis_client
from flask import Flask

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.core.ids import new_id
from portal.core.processes.presence import at_work, list_workers, present
from portal.core.queues import QueueName, is_paused
from portal.events.readiness import check_readiness, forget_answer, is_ready
from portal.orders.models import Status
from portal.orders.queries import get_order
from portal.queues.figures import list_dead_letters, list_queues
from portal.queues.service import (
    NothingToReplay,
    drain_queue,
    finish_draining,
    pause_queue,
    replay_dead,
    resume_queue,
)
from portal.workers import clock, jobs
from portal.workers.clock import Lane
from portal.workers.postman import _post
from portal.workers.relay import _relay
from tests.scene import Scene, build_scene


@pytest.fixture
def scene(committed_db: Flask) -> Scene:
    with transaction():
        hot("DELETE FROM queue_stop")
        hot("UPDATE event SET state = 'done' WHERE state <> 'done'")
        hot("UPDATE mail SET state = 'dead', done_at = now() - interval '1 day' WHERE state = 'pending'")
        hot("DELETE FROM mail")
        return build_scene()


def event_in(state: str, count: int = 1) -> list[uuid.UUID]:
    ids = [new_id() for _ in range(count)]
    with transaction():
        for one in ids:
            hot(
                "INSERT INTO event (id, type, mode, store_id, subject_kind, subject_id, version, data, state, attempts,"
                " last_error, done_at) VALUES (%(id)s, 'order.completed', 'test', %(id)s, 'order', %(id)s, 1, '{}',"
                " %(state)s, CASE WHEN %(state)s = 'dead' THEN 10 ELSE 0 END, 'RuntimeError()', CASE WHEN %(state)s = 'dead' THEN now() END)",
                {"id": one, "state": state},
            )
    return ids


def states(ids: list[uuid.UUID]) -> set[str]:
    with transaction():
        return {
            row["state"] for row in hot("SELECT state FROM event WHERE id = ANY(%(i)s::uuid[])", {"i": ids})
        }


def pause(queue: QueueName) -> None:
    with transaction():
        assert pause_queue(queue, "Looking into it", actor=SYSTEM)


def resume(queue: QueueName) -> None:
    with transaction():
        assert resume_queue(queue, "Looked", actor=SYSTEM)


def test_a_paused_outbox_hands_nothing_on_even_when_redis_was_wiped(
    scene: Scene, redis: redis_client.Redis
) -> None:
    ids = event_in("pending")
    pause(QueueName.EVENTS)
    redis.flushdb()
    assert _relay() == 0
    assert states(ids) == {"pending"}
    resume(QueueName.EVENTS)
    assert _relay() > 0
    assert states(ids) == {"done"}


def test_paused_matching_leaves_waiting_orders_alone_in_the_clock_and_in_the_worker(
    scene: Scene, committed_db: Flask
) -> None:
    trader = scene.trader(working=False)
    scene.requisite(trader)
    order = scene.payin()
    with transaction():
        hot("UPDATE trader SET is_working = true WHERE id = %(id)s", {"id": trader.id})
        hot("UPDATE requisite SET trader_payin_on = true WHERE trader_id = %(id)s", {"id": trader.id})
        hot("UPDATE orders SET retry_at = now() WHERE id = %(id)s", {"id": order.id})
    pause(QueueName.MATCHING)
    lane = Lane(committed_db, [duty for duty in clock.DEADLINES if duty.name == "waiting payins"])
    lane.turn()
    jobs.match_waiting()
    assert status_of(order.id) == Status.MATCHING
    resume(QueueName.MATCHING)
    lane.turn()
    assert status_of(order.id) == Status.AWAITING_PAYMENT


def status_of(order_id: uuid.UUID) -> str:
    with transaction():
        return get_order(order_id).status


def test_paused_mail_is_not_carried(scene: Scene) -> None:
    class Refusing:
        def carry(self, _letter: object) -> None:
            raise AssertionError("it was carried")

    with transaction():
        hot(
            "INSERT INTO mail (id, kind, recipient, locale, params) VALUES (%(id)s, 'new_order', 'a@example.test', 'en', '{}')",
            {"id": new_id()},
        )
    pause(QueueName.MAIL)
    assert _post(Refusing()) is False  # type: ignore[arg-type]


def test_a_paused_queue_is_told_and_takes_nobody_out_of_service(scene: Scene) -> None:
    with transaction():
        hot("INSERT INTO heartbeat (role) VALUES ('clock') ON CONFLICT (role) DO UPDATE SET beat_at = now()")
    ids = event_in("pending")
    with transaction():
        hot("UPDATE event SET next_at = now() - interval '1 hour' WHERE id = ANY(%(i)s::uuid[])", {"i": ids})
    pause(QueueName.EVENTS)
    forget_answer()
    checks = check_readiness()
    assert (checks["queues"], checks["outbox"]) == ("paused: events", "paused: events")
    assert is_ready(checks)
    resume(QueueName.EVENTS)
    forget_answer()
    assert check_readiness()["outbox"] == "late"


def test_a_draining_queue_works_off_what_was_due_and_is_paused_then(scene: Scene) -> None:
    ids = event_in("pending", 2)
    with transaction():
        drain_queue(QueueName.EVENTS, "Before the move", actor=SYSTEM)
    with transaction():
        assert finish_draining() == 0
        assert not is_paused(QueueName.EVENTS)
    assert _relay() == 2
    later = event_in("pending")
    with transaction():
        assert finish_draining() == 1
    assert _relay() == 0
    assert (states(ids), states(later)) == ({"done"}, {"pending"})


def test_dead_work_is_seen_and_tried_again_for_a_reason(scene: Scene) -> None:
    ids = event_in("dead", 3)
    with transaction():
        figures = {one.name: one.backlog for one in list_queues()}
        assert figures[QueueName.EVENTS].dead == 3
        assert {letter.id for letter in list_dead_letters(QueueName.EVENTS)} == set(ids)
        assert list_dead_letters(QueueName.EVENTS)[0].error == "RuntimeError()"
    with transaction():
        assert replay_dead(QueueName.EVENTS, "The bug is mended", actor=SYSTEM, ids=ids[:1]) == 1
    assert (states(ids[:1]), states(ids[1:])) == ({"pending"}, {"dead"})
    with transaction():
        assert replay_dead(QueueName.EVENTS, "The rest", actor=SYSTEM) == 2
        said = hot(
            "SELECT action, reason FROM audit_entry WHERE action = 'queue.replayed' ORDER BY id DESC LIMIT 1"
        )
    assert said[0]["reason"] == "The rest"
    with pytest.raises(NothingToReplay), transaction():
        replay_dead(QueueName.EVENTS, "Again", actor=SYSTEM)


@pytest.mark.proves("tried N7")
def test_dead_work_of_any_queue_is_dismissed_by_command_for_a_reason(
    scene: Scene, committed_db: Flask
) -> None:
    run = committed_db.test_cli_runner().invoke
    first, *_others = event_in("dead", 3)
    dismiss = ["queues", "dismiss", "events", "--reason", "Of a shop that closed", "--json"]
    assert run(args=["queues", "dismiss", "events", "--all"]).exit_code == 2, "a reason is needed"
    assert run(args=dismiss).exit_code == 2, "which of them is needed"
    assert json.loads(run(args=[*dismiss, str(first)]).output) == {"queue": "events", "dismissed": 1}
    with transaction():
        assert first not in {letter.id for letter in list_dead_letters(QueueName.EVENTS)}
    assert json.loads(run(args=[*dismiss, "--all"]).output)["dismissed"] == 2
    assert run(args=["queues", "list"]).exit_code == 0
    assert run(args=["queues", "dead", "events"]).exit_code == 0
    nothing = run(args=["queues", "replay", "events", "--all", "--reason", "Again"])
    assert nothing.exit_code == 1, "what is dismissed is not tried again"
    assert run(args=[*dismiss, "--all"]).exit_code == 1
    with transaction():
        said = hot("SELECT reason FROM audit_entry WHERE action = 'queue.dismissed' ORDER BY id")
    assert [row["reason"] for row in said] == ["Of a shop that closed"] * 2


def test_who_works_is_seen_while_they_do_and_gone_when_they_stop(committed_db: Flask) -> None:
    def workers() -> list[tuple[str, str]]:
        with transaction():
            return [(one.part, one.doing) for one in list_workers() if one.role == "trial"]

    with at_work("trial part", "counting"), present(committed_db, "trial", "idle part"):
        ends_at = time.monotonic() + 5
        while not workers() and time.monotonic() < ends_at:
            time.sleep(0.05)
        assert ("idle part", "") in workers()
    ends_at = time.monotonic() + 5
    while workers() and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert workers() == []


def test_the_command_stops_a_queue_and_says_so(scene: Scene, committed_db: Flask) -> None:
    run = committed_db.test_cli_runner().invoke
    done = run(args=["queues", "pause", "webhooks", "--reason", "Their server is down", "--json"])
    assert json.loads(done.output) == {"queue": "webhooks", "state": "paused", "changed": True}
    again = run(args=["queues", "pause", "webhooks", "--reason", "Their server is down", "--json"])
    assert json.loads(again.output)["changed"] is False
    assert run(args=["queues", "pause", "webhooks"]).exit_code == 2, "a reason is needed"
    doctor = json.loads(run(args=["doctor", "--json"]).output)
    assert any("webhooks is paused: Their server is down" in one["found"] for one in doctor["findings"])
    event_in("dead")
    listed = run(args=["queues", "list", "--json"])
    assert listed.exit_code == 1
    assert {one["name"]: one["state"] for one in json.loads(listed.output)["queues"]}["webhooks"] == "paused"
    assert run(args=["queues", "dead", "events", "--json"]).exit_code == 1
    assert run(args=["queues", "replay", "events", "--reason", "Mended"]).exit_code == 2
    replayed = run(args=["queues", "replay", "events", "--all", "--reason", "Mended", "--json"])
    assert json.loads(replayed.output) == {"queue": "events", "replayed": 1}
    assert run(args=["queues", "dead", "events"]).exit_code == 0
    assert run(args=["queues", "replay", "events", "--all", "--reason", "Mended"]).exit_code == 1


def test_upkeep_that_nobody_does_is_seen_to_be_late(scene: Scene) -> None:
    pause(QueueName.MAIL)  # leaves an entry in the audit log, which no clock seals here
    with transaction():
        waited = hot(
            "SELECT extract(epoch FROM clock_timestamp() - min(at))::float8 AS s FROM audit_entry"
            " WHERE id = (SELECT min(entry_id) FROM audit_unsealed)"
        )[0]["s"]
        found = next(one.backlog for one in list_queues() if one.name is QueueName.MAINTENANCE)
    assert found.depth >= 1
    assert found.oldest_s >= waited > 0
    assert found.late_s == found.oldest_s
