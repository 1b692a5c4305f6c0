"""Who works, and at what: rows that the processes renew. Whoever falls silent stays visible for a while."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from flask import Flask
from sqlalchemy import BigInteger, DateTime, Integer, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model, hot, release, transaction
from portal.settings import get_settings

log = logging.getLogger(__name__)

BEAT_S = 3.0
SILENT_S = 15.0
FORGOTTEN_S = 900.0


class WorkerPresence(Model):
    """One thread of work of one process."""

    __tablename__ = "worker_presence"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    role: Mapped[str] = mapped_column(Text)
    part: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(Integer)
    release: Mapped[str] = mapped_column(Text, server_default="")
    doing: Mapped[str] = mapped_column(Text, server_default="")
    done: Mapped[int] = mapped_column(BigInteger, server_default="0")
    started_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )
    beat_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())


@dataclass(slots=True)
class _Part:
    doing: str = ""
    done: int = 0


# What this process works at, by part. Written by the thread that does it, read by the one that beats.
_parts: dict[str, _Part] = {}

_BEAT = """
INSERT INTO worker_presence (id, role, part, host, pid, release, doing, done)
VALUES (%(id)s, %(role)s, %(part)s, %(host)s, %(pid)s, %(release)s, %(doing)s, %(done)s)
ON CONFLICT (id) DO UPDATE SET doing = excluded.doing, done = excluded.done, beat_at = clock_timestamp()
"""
_LEAVE = "DELETE FROM worker_presence WHERE id LIKE %(of)s"
_FORGET = """
DELETE FROM worker_presence WHERE id IN (
    SELECT id FROM worker_presence WHERE beat_at < clock_timestamp() - make_interval(secs => %(s)s)
    FOR UPDATE SKIP LOCKED)
"""
_LIST = """
SELECT role, part, host, pid, release, doing, done, started_at, beat_at,
       extract(epoch FROM clock_timestamp() - beat_at)::float8 AS silent_s
FROM worker_presence ORDER BY role, host, pid, part LIMIT 500
"""


@contextmanager
def at_work(part: str, doing: str) -> Iterator[None]:
    """Say that this part of the process does something; one more is done when it ends."""
    tell(part, doing)
    try:
        yield
    finally:
        tell(part, "", done=1)


def tell(part: str, doing: str, *, done: int = 0) -> None:
    """What this part of the process does from now on, and how much it has just done."""
    mine = _parts.setdefault(part, _Part())
    mine.doing = doing
    mine.done += done


@contextmanager
def present(app: Flask, role: str, *parts: str) -> Iterator[None]:
    """While this lasts, each part has a row that is renewed every BEAT_S. A database that is away is waited for."""
    _parts.update({part: _Part() for part in parts})
    own, stop = uuid.uuid4().hex, threading.Event()
    thread = threading.Thread(target=_beat_until, args=(app, role, own, stop), name="presence", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(1)


def _beat_until(app: Flask, role: str, own: str, stop: threading.Event) -> None:
    while not stop.is_set():
        _try(app, lambda: _beat(role, own))
        stop.wait(BEAT_S)
    _try(app, lambda: hot(_LEAVE, {"of": f"{own}%"}))


def _try(app: Flask, write: Callable[[], object]) -> None:
    try:
        with app.app_context():
            try:
                with transaction():
                    write()
            finally:
                release()
    except Exception:
        log.debug("presence could not be written", exc_info=True)


def _beat(role: str, own: str) -> None:
    host, pid, release_name = socket.gethostname(), os.getpid(), get_settings().release
    for part, state in list(_parts.items()):
        hot(
            _BEAT,
            {
                "id": f"{own}/{part}", "role": role, "part": part, "host": host, "pid": pid,
                "release": release_name, "doing": state.doing, "done": state.done,
            },
        )  # fmt: skip
    hot(_FORGET, {"s": FORGOTTEN_S})


@dataclass(frozen=True, slots=True)
class AtWork:
    """One part of one process; silent for more than SILENT_S means that it hangs or was killed."""

    role: str
    part: str
    host: str
    pid: int
    release: str
    doing: str
    done: int
    started_at: datetime
    beat_at: datetime
    silent_s: float

    @property
    def is_silent(self) -> bool:
        return self.silent_s > SILENT_S


def list_workers() -> list[AtWork]:
    """Who works now, and who fell silent in the last quarter of an hour."""
    return [AtWork(**row) for row in hot(_LIST)]
