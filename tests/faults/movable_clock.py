"""A wall clock that can be moved while everything runs: libfaketime before PostgreSQL and all processes of a stage."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
import time_machine

_LIBRARY = "vendor/libfaketime/src/libfaketime.so.1"


def _library() -> Path | None:
    found = find_spec("libfaketime")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / _LIBRARY
    try:
        ctypes.CDLL(str(path))
    except OSError:
        return None
    return path


needs_library = pytest.mark.skipif(_library() is None, reason="libfaketime does not load on this machine")


class MovableClock:
    """How far the clock is from the true one stands in a file, which everything reads at each look at the clock.

    What measures durations (the monotonic clock) is not moved, as on a real machine.
    """

    def __init__(self, folder: Path) -> None:
        source = _library()
        assert source is not None
        folder.mkdir(exist_ok=True)
        # PostgreSQL's own user reads both.
        folder.chmod(0o755)
        self._preloaded = folder / "libfaketime.so.1"
        shutil.copy(source, self._preloaded)
        self._preloaded.chmod(0o755)
        self._offset = folder / "offset"
        self._write(timedelta())

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self._preloaded),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else files that were written before a move would change their times.
            "NO_FAKE_STAT": "1",
        }

    @contextmanager
    def moved(self, by: timedelta) -> Iterator[None]:
        """Everywhere at once, this process included."""
        self._write(by)
        try:
            with time_machine.travel(datetime.now(UTC) + by, tick=True):
                yield
        finally:
            self._write(timedelta())

    def _write(self, by: timedelta) -> None:
        unfinished = self._offset.with_suffix(".new")
        unfinished.write_text(f"{by.total_seconds():+.0f}\n")
        unfinished.chmod(0o644)
        unfinished.replace(self._offset)
