"""The worker executes jobs; without Redis nothing but a little time is lost."""

from __future__ import annotations

import json

import pytest
import redis as redis_client
from flask import Flask
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from portal.core import redis as clients
from portal.core.db import hot, transaction
from portal.core.jobs import enqueue_job, queue_on
from portal.orders.models import Status
from portal.orders.queries import get_order
from portal.settings import get_settings
from portal.traders.service import set_working
from tests.scene import Scene, build_scene


@pytest.fixture
def scene(committed_db: Flask) -> Scene:
    with transaction():
        return build_scene()


def work_off(connection: redis_client.Redis) -> None:
    queue = queue_on(connection)
    SimpleWorker([queue], connection=connection, serializer=JSONSerializer).work(
        burst=True, logging_level="ERROR"
    )


def test_a_trader_who_begins_to_work_gets_the_payin_that_waits(
    scene: Scene, redis: redis_client.Redis
) -> None:
    trader = scene.trader(working=False)
    scene.requisite(trader)
    order = scene.payin()
    assert order.status == Status.MATCHING
    redis.delete(*(redis.keys("rq:*") or ["none"]))
    with transaction():
        set_working(trader.id, True)
        hot("UPDATE orders SET retry_at = now() WHERE id = %(id)s", {"id": order.id})
    assert queue_on(redis).job_ids == ["match_waiting"]
    work_off(redis)
    assert get_order(order.id).status == Status.AWAITING_PAYMENT


def test_a_hint_that_waits_already_is_not_put_there_twice(
    committed_db: Flask, redis: redis_client.Redis
) -> None:
    enqueue_job("match_waiting")
    enqueue_job("match_waiting")
    assert queue_on(redis).job_ids == ["match_waiting"]


def test_what_is_put_into_redis_is_json_without_a_pickle(
    committed_db: Flask, redis: redis_client.Redis
) -> None:
    import zlib

    enqueue_job("match_waiting")
    data = zlib.decompress(redis.hget("rq:job:match_waiting", "data"))
    assert json.loads(data)[0] == "portal.workers.jobs.match_waiting"


def test_without_redis_the_switch_works_all_the_same(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    trader = scene.trader(working=False)
    gone = redis_client.Redis.from_url("unix:///nowhere.sock")
    monkeypatch.setattr(clients, "_shared", lambda _url, _timeout_s: gone)
    with transaction():
        set_working(trader.id, True)
    with transaction():
        assert hot("SELECT is_working FROM trader WHERE id = %(id)s", {"id": trader.id})[0]["is_working"]
    assert get_settings().redis_url
