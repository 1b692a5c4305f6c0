"""Lines on their way to stderr, written in batches by a thread of their own.

Nobody's request waits for the disk or for a full pipe: what can't be written is dropped and counted. An
ordinary line is written within FLUSH_S, one that warns at once; at the end of the process all are.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from contextlib import suppress

FLUSH_S = 0.1
MOST_WAITING = 20_000


class LineWriter:
    """Bounded: when MOST_WAITING lines wait, the oldest make place."""

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._urgent = threading.Event()
        self._pid = 0
        self.dropped = 0

    def put(self, line: bytes, *, is_urgent: bool = False) -> None:
        """Take the line (with its newline). Never waits, never raises."""
        if self._pid != os.getpid():
            self._begin()
        if len(self._lines) >= MOST_WAITING:
            with suppress(IndexError):
                self._lines.popleft()
            self.dropped += 1
        self._lines.append(line)
        if is_urgent:
            self._urgent.set()

    def flush(self) -> None:
        """Write what waits."""
        with self._writing:
            while self._lines:
                batch: list[bytes] = []
                with suppress(IndexError):
                    while len(batch) < 256:
                        batch.append(self._lines.popleft())
                self._write(b"".join(batch), len(batch))

    def _write(self, content: bytes, lines: int) -> None:
        try:
            while content:
                content = content[os.write(self._descriptor, content) :]
        except OSError:
            self.dropped += lines

    def _begin(self) -> None:
        """A process of its own, also after a fork, has a thread of its own."""
        with self._lock:
            if self._pid == os.getpid():
                return
            if self._pid:
                # What the parent had not written yet is the parent's; its locks may be held for ever.
                self._lines.clear()
                self._writing, self._urgent = threading.Lock(), threading.Event()
            else:
                atexit.register(self._end)
            self._pid = os.getpid()
            threading.Thread(target=self._run, name="log", daemon=True).start()

    def _run(self) -> None:
        while True:
            self._urgent.wait(FLUSH_S)
            self._urgent.clear()
            if self._lines:
                self.flush()

    def _end(self) -> None:
        # A reader that has stopped reading must not keep the process from ending.
        last = threading.Thread(target=self.flush, name="log-end", daemon=True)
        last.start()
        last.join(2)


writer = LineWriter()
