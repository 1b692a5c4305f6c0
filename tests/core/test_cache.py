"""A cache is dropped everywhere when something changed, also when Redis was away or lost what it knew.

Another process is played by a second cache of the same name, which only Redis connects with the first.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import redis as redis_client

from portal.core import redis as clients
from portal.core.cache import Cache
from portal.core.circuit_breaker import ask_again


@pytest.fixture
def two(redis: redis_client.Redis) -> Iterator[tuple[Cache[str], Cache[str]]]:
    ask_again()
    name = uuid.uuid4().hex
    here: Cache[str] = Cache(name)
    there: Cache[str] = Cache(name)
    for cache in (here, there):
        cache.put(cache.page(), b"k", "before")
    yield here, there
    ask_again()


def seen(cache: Cache[str], max_age_s: float = 60) -> str | None:
    """What it gives a second later."""
    cache._look_at = 0.0
    return cache.find(cache.page(), b"k", max_age_s)


def away(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = redis_client.Redis.from_url("unix:///nonexistent/redis.sock")
    monkeypatch.setattr(clients, "_shared", lambda _url, _timeout_s: dead)


def test_a_change_is_seen_here_at_once_and_there_at_the_next_look(
    two: tuple[Cache[str], Cache[str]],
) -> None:
    here, there = two
    assert (seen(here), seen(there)) == ("before", "before")
    here.forget()
    assert here.find(here.page(), b"k", 60) is None
    assert there.find(there.page(), b"k", 60) == "before", "no Redis call before a second has gone by"
    assert seen(there) is None


def test_who_told_of_a_change_does_not_drop_what_it_reads_after_it(
    two: tuple[Cache[str], Cache[str]],
) -> None:
    here, _ = two
    here.forget()
    here.put(here.page(), b"k", "after")
    assert seen(here) == "after"


def test_a_change_that_redis_has_lost_again_is_heard(two: tuple[Cache[str], Cache[str]]) -> None:
    here, there = two
    here.forget()
    clients.request_client().delete(here._mark_key)
    assert seen(there) is None


def test_without_redis_things_are_held_until_they_are_too_old(
    two: tuple[Cache[str], Cache[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two
    away(monkeypatch)
    here.forget()
    assert here.find(here.page(), b"k", 60) is None
    assert seen(there) == "before"
    assert seen(there, max_age_s=0) is None


def test_a_change_that_could_not_be_told_is_told_when_redis_is_back(
    two: tuple[Cache[str], Cache[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two
    with monkeypatch.context() as without:
        away(without)
        here.forget()
        assert seen(there) == "before"
    ask_again()
    assert seen(there) == "before"
    seen(here)
    assert seen(there) is None
