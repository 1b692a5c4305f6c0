"""The embedded Valkey as the demo uses it: keeps jobs, private, one server for one directory."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from portal.embedded import EmbeddedRedis


@pytest.fixture
def root() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="nostro-embedded-"))
    yield folder / "redis"
    EmbeddedRedis(folder / "redis").stop()
    shutil.rmtree(folder)


def info(url: str) -> dict[str, object]:
    with redis.Redis.from_url(url) as client:
        return dict(client.info())


def test_keys_outlive_a_server_that_was_killed(root: Path) -> None:
    url = EmbeddedRedis(root).start()
    with redis.Redis.from_url(url) as client:
        client.set("kept", "yes")
    time.sleep(1.5)  # the file is synced every second
    killed = int(str(info(url)["process_id"]))
    os.kill(killed, signal.SIGKILL)

    again = EmbeddedRedis(root).start()

    with redis.Redis.from_url(again) as client:
        assert client.get("kept") == b"yes"
    assert info(again)["process_id"] != killed


def test_a_second_start_attaches_to_the_server_that_runs(root: Path) -> None:
    url = EmbeddedRedis(root).start()

    assert EmbeddedRedis(root).start() == url
    assert info(url)["process_id"] == info(EmbeddedRedis(root).start())["process_id"]


def test_it_evicts_nothing_and_listens_on_no_port(root: Path) -> None:
    with redis.Redis.from_url(EmbeddedRedis(root).start()) as client:
        asked = {name: client.config_get(name)[name] for name in ("maxmemory-policy", "port", "appendfsync")}
    assert asked == {"maxmemory-policy": "noeviction", "port": "0", "appendfsync": "everysec"}


def test_stop_ends_a_server_that_another_object_started(root: Path) -> None:
    url = EmbeddedRedis(root).start()
    EmbeddedRedis(root).stop()
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
