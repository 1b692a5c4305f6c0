"""Settings keep their type and bounds, are heard by other processes, and leave a history."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import redis
from flask import Flask
from sqlalchemy import select, text

from portal.core import redis as clients
from portal.core.actors import Actor, ActorKind
from portal.core.cache import LOOK_EVERY_S
from portal.core.db import db, transaction
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.reference import snapshot as snapshots
from portal.reference.errors import SettingRefused, UnknownSetting
from portal.reference.models import ConfigSettingHistory
from portal.reference.snapshot import Snapshot

ADMIN = Actor(ActorKind.ADMIN)
KEY = config.RATE_FETCH_TIMEOUT_S.key


@pytest.fixture(autouse=True)
def back_to_default(context: Flask) -> Iterator[None]:
    yield
    db.session.rollback()
    with transaction():
        setting_changes.reset(KEY, ADMIN)


def set_value(value: Any) -> None:
    with transaction():
        setting_changes.set_value(KEY, value, ADMIN)


def last_change() -> tuple[Any, Any]:
    row = db.session.scalar(
        select(ConfigSettingHistory)
        .where(ConfigSettingHistory.key == KEY)
        .order_by(ConfigSettingHistory.id.desc())
        .limit(1)
    )
    assert row is not None
    return row.old_value, row.new_value


def test_every_default_is_within_its_own_bounds_and_says_what_it_does() -> None:
    for setting in config.REGISTRY.values():
        assert setting_changes.parse(setting, str(setting.default)) == setting.default
        assert setting.sentence.endswith(".")
        if isinstance(setting.default, int) and not isinstance(setting.default, bool):
            assert setting.minimum is not None
            assert setting.maximum is not None


def test_a_value_is_in_force_after_the_commit_and_leaves_a_history() -> None:
    assert config.get(config.RATE_FETCH_TIMEOUT_S) == 10
    set_value(20)
    assert config.get(config.RATE_FETCH_TIMEOUT_S) == config.get(KEY) == 20
    assert last_change() == (None, 20)
    set_value(30)
    assert last_change() == (20, 30)
    with transaction():
        setting_changes.reset(KEY, ADMIN)
    assert config.get(config.RATE_FETCH_TIMEOUT_S) == 10
    assert last_change() == (30, None)


def test_a_change_that_is_rolled_back_was_never_there() -> None:
    def change_and_fail() -> None:
        with transaction():
            setting_changes.set_value(KEY, 20, ADMIN)
            assert config.get(KEY) == 20, "the writer sees its own value"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert config.get(KEY) == 10


@pytest.mark.parametrize("value", [0, 61, "10", 10.0, True, None])
def test_a_value_of_another_type_or_beyond_the_bounds_is_refused(value: Any) -> None:
    with pytest.raises(SettingRefused):
        set_value(value)
    assert config.get(KEY) == 10


@pytest.mark.parametrize("written", ["", "ten", "1e1", "10.0", "１０", "-1", "0x10", "9" * 5000])
def test_a_text_that_is_not_a_possible_number_is_refused(written: str) -> None:
    with pytest.raises(SettingRefused):
        setting_changes.parse(config.RATE_FETCH_TIMEOUT_S, written)


def test_a_time_zone_must_exist() -> None:
    assert setting_changes.parse(config.DAY_TIMEZONE, "Asia/Almaty") == "Asia/Almaty"
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(SettingRefused):
            setting_changes.parse(config.DAY_TIMEZONE, name)


def test_an_unknown_setting_is_said_so() -> None:
    with pytest.raises(UnknownSetting):
        config.get("no_such_setting")
    with pytest.raises(UnknownSetting), transaction():
        setting_changes.set_value("no_such_setting", 1, ADMIN)


def test_a_value_written_past_the_bounds_by_hand_is_not_used() -> None:
    with transaction():
        db.session.execute(
            text("INSERT INTO config_setting (key, value, actor_kind) VALUES (:key, '100000', 'ops')"),
            {"key": KEY},
        )
    snapshots.forget_all()
    assert config.get(KEY) == 10


def other_process() -> Snapshot[dict[str, Any]]:
    """A second memory of the same table, which only Redis can tell of changes."""
    return Snapshot("settings", config._load, lambda: 3600.0, copy_in_redis=True)


def test_another_process_hears_of_a_change_at_its_next_look() -> None:
    other = other_process()
    assert KEY not in other.get()
    set_value(20)
    assert KEY not in other.get(), "no Redis call before a second has gone by"
    other._look_at -= LOOK_EVERY_S
    assert other.get()[KEY] == 20


def test_a_new_process_takes_the_copy_in_redis_and_asks_no_database() -> None:
    set_value(20)
    config.get(KEY)
    with patch.object(Snapshot, "_read", side_effect=AssertionError("asked the database")):
        assert other_process().get()[KEY] == 20


def test_without_redis_settings_are_read_from_the_database_and_age() -> None:
    with patch.object(clients, "_shared", side_effect=redis.ConnectionError):
        set_value(20)
        assert config.get(KEY) == 20
        other = Snapshot("settings", config._load, lambda: 0.0, copy_in_redis=True)
        assert other.get()[KEY] == 20
        set_value(30)
        assert other.get()[KEY] == 30


def test_many_threads_load_once_and_all_see_a_change(app: Flask) -> None:
    """Eight threads read while one value is followed by another: nobody goes back to an older one."""
    values = iter(range(1, 1_000_000))
    loads: list[int] = []

    def load(_: object) -> int:
        loads.append(next(values))
        return loads[-1]

    counted = Snapshot("counted by a test", load, lambda: 3600.0)
    seen: list[list[int]] = [[] for _ in range(8)]
    stop = threading.Event()

    def read(mine: list[int]) -> None:
        with app.app_context():
            while not stop.is_set():
                mine.append(counted.get())
                time.sleep(0.0001)  # readers that never rest keep the one who changes from its turn
            mine.append(counted.get())

    with app.app_context():
        counted.get()
    threads = [threading.Thread(target=read, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    with app.app_context():
        for _ in range(20):
            time.sleep(0.01)
            counted.forget()
    last = len(loads)
    stop.set()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in seen)
    assert all(mine[-1] >= last for mine in seen), "who asks after a change sees it"
    assert len(loads) <= 60, "a change is loaded once or twice, not once a thread"
