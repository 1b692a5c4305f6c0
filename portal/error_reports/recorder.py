"""From the log's stream to rows: equal errors are added up in the process and written once a second.

An error that can't be written (the database may be what is broken) waits, within bounds; it is in the log
in any case. What is kept is redacted before it waits.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from portal.core.observability import metrics, trace
from portal.core.observability.logging import redacted_exception
from portal.core.observability.redaction import redact_text

FLUSH_S = 1.0
MOST_WAITING = 200  # fingerprints; an error storm is of few
REQUEST_IDS = 10
SAMPLE_CHARS = 8000
_ROOT = str(Path(__file__).resolve().parents[1])


@dataclass(slots=True)
class Counted:
    """Errors of one fingerprint since the last write."""

    kind: str
    fingerprint: str
    logger: str
    level: str
    first_at: datetime
    last_at: datetime
    sample: str
    count: int = 1
    request_ids: list[str] = field(default_factory=list)


def kind_of(record: logging.LogRecord) -> str:
    """The exception's class, or the logger whose words it was."""
    raised = record.exc_info[0] if record.exc_info else None
    return record.name if raised is None else f"{raised.__module__}.{raised.__qualname__}"


def fingerprint_of(record: logging.LogRecord) -> str:
    """Equal for errors of one kind from the same functions of ours, whatever their words and line numbers."""
    parts = [kind_of(record), record.name]
    if record.exc_info and record.exc_info[2] is not None:
        frames = traceback.extract_tb(record.exc_info[2])
        parts += [f"{frame.filename}:{frame.name}" for frame in frames if frame.filename.startswith(_ROOT)][
            -5:
        ]
    else:
        parts.append(str(record.msg)[:200])
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


class ErrorRecorder(logging.Handler):
    """Hears records from ERROR on. `write` puts them into the database, in a transaction of its own."""

    def __init__(self, role: str, write: Callable[[list[Counted]], None], *, in_background: bool) -> None:
        super().__init__(logging.ERROR)
        self._role, self._write, self._in_background = role, write, in_background
        self._waiting: dict[str, Counted] = {}
        self._changed = threading.Lock()
        self._pid = 0
        self._writing = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        metrics.errors.labels(self._role).inc()
        if getattr(self._writing, "now", False):
            return  # an error of the writing itself would feed itself
        try:
            self._count(record)
        except Exception:
            self.handleError(record)
            return
        if self._in_background and self._pid != os.getpid():
            self._pid = os.getpid()
            threading.Thread(target=self._run, name="error-reports", daemon=True).start()

    def _count(self, record: logging.LogRecord) -> None:
        fingerprint = fingerprint_of(record)
        now = datetime.now(UTC)
        sample = redacted_exception(record)[-SAMPLE_CHARS:].replace("\x00", "")
        request_id = trace.request_id_now() or getattr(record, "request_id", None)
        with self._changed:
            known = self._waiting.get(fingerprint)
            if known is None:
                if len(self._waiting) >= MOST_WAITING:
                    return
                known = self._waiting[fingerprint] = Counted(
                    redact_text(kind_of(record)),
                    fingerprint,
                    record.name,
                    record.levelname,
                    now,
                    now,
                    sample,
                    0,
                )
            known.count += 1
            known.last_at, known.sample = now, sample
            if request_id and request_id not in known.request_ids:
                known.request_ids = [str(request_id), *known.request_ids][:REQUEST_IDS]

    def flush_reports(self) -> int:
        """Write what waits; returns how many fingerprints. What could not be written goes on waiting."""
        with self._changed:
            taken, self._waiting = self._waiting, {}
        if not taken:
            return 0
        self._writing.now = True
        try:
            self._write(list(taken.values()))
        except Exception:
            self._give_back(taken)
            return 0
        finally:
            self._writing.now = False
        return len(taken)

    def _give_back(self, taken: dict[str, Counted]) -> None:
        with self._changed:
            for fingerprint, former in taken.items():
                newer = self._waiting.get(fingerprint)
                if newer is not None:
                    newer.count += former.count
                    newer.first_at = former.first_at
                elif len(self._waiting) < MOST_WAITING:
                    self._waiting[fingerprint] = former

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(FLUSH_S)
            self.flush_reports()
