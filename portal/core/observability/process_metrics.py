"""Where a process's metrics live, and what is read from the process itself every few seconds.

With METRICS_DIR each process writes files of its own there, which the exporter adds up. A file is touched as
long as its process lives: gauges of one that is gone no longer count, what it had counted still does.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from prometheus_client import values

from portal.core.observability import metrics
from portal.core.observability.log_writer import writer
from portal.settings import Settings, set_for_library

SAMPLE_S = 5.0
# The gauges of a process that was not heard of for so long are not counted any more.
DEAD_AFTER_S = 3 * SAMPLE_S

_folder: Path | None = None
_sampler: _Sampler | None = None


class _Sampler:
    """A thread that reads the process's pool and memory. It begins anew in a forked child."""

    def __init__(self, role: str, pool_of: Callable[[], object] | None) -> None:
        self._role, self._pool_of = role, pool_of
        self._stop = threading.Event()

    def begin(self) -> None:
        self._stop = threading.Event()
        threading.Thread(target=self._run, args=(self._stop,), name="metrics", daemon=True).start()

    def end(self) -> None:
        self._stop.set()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(SAMPLE_S):
            self.sample()

    def sample(self) -> None:
        """Read once."""
        role = self._role
        if self._pool_of is not None:
            _note_pool(role, self._pool_of())
        metrics.memory.labels(role).set(_resident_bytes())
        metrics.processes.labels(role).set(1)
        metrics.lines_dropped.labels(role).set(writer.dropped)
        touch_own_files()


def _note_pool(role: str, pool: object) -> None:
    # Not for processes without a database, which stay small.
    from sqlalchemy.pool import QueuePool

    if isinstance(pool, QueuePool):
        metrics.pool.labels(role, "in_use").set(pool.checkedout())
        metrics.pool.labels(role, "limit").set(pool.size())


def start(settings: Settings, role: str, pool_of: Callable[[], object] | None) -> None:
    """Let this process's metrics be counted with the others', when there is a folder for them.

    `pool_of` is None for a process without a database.
    """
    global _sampler, _folder  # noqa: PLW0603 - one a process
    if settings.metrics_dir is None:
        return
    if _folder is None:
        _folder = settings.metrics_dir.absolute()
        _folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The library reads it whenever it opens a file.
        set_for_library("PROMETHEUS_MULTIPROC_DIR", str(_folder))
        values.ValueClass = values.MultiProcessValue(_identity)  # type: ignore[no-untyped-call]
        os.register_at_fork(after_in_child=_begin_again)
    if _sampler is not None:
        _sampler.end()
    _sampler = _Sampler(role, pool_of)
    _sampler.begin()


def _begin_again() -> None:
    if _sampler is not None:
        _sampler.begin()


def _identity() -> str:
    return _identity_of(os.getpid())


@lru_cache(maxsize=2)
def _identity_of(pid: int) -> str:
    """Distinct also among containers that share the folder. The library splits file names at underscores."""
    host = "".join(char if char.isalnum() else "-" for char in socket.gethostname())
    return f"{host}-{pid}-{time.time_ns() // 1_000_000}"


def touch_own_files() -> None:
    """Say that this process lives."""
    if _folder is not None:
        for file in _folder.glob(f"gauge_*_{_identity()}.db"):
            os.utime(file)


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
