"""A web process looks for garbage seldom, but it does."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from portal.core.processes.garbage_collection import LOOK_AFTER, look_seldom


@pytest.fixture
def _restored() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class _Ring:
    """Garbage that only the collector can free."""

    def __init__(self) -> None:
        self.me = self


@pytest.mark.usefixtures("_restored")
def test_what_is_dropped_later_is_freed_without_being_asked_for() -> None:
    look_seldom()
    ring = _Ring()
    dropped = weakref.ref(ring)
    del ring
    rings = [_Ring() for _ in range(10)]
    for _ in range(2 * LOOK_AFTER):
        rings.append(_Ring())
        rings.pop(0)
    assert dropped() is None


@pytest.mark.usefixtures("_restored")
def test_what_was_loaded_is_not_looked_through_again() -> None:
    look_seldom()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 1_000


def test_the_web_process_does_so() -> None:
    code = "import gc, wsgi; print(gc.get_threshold()[0], gc.get_freeze_count() > 100_000)"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.split() == [str(LOOK_AFTER), "True"]
