"""Who is there: the clock when it last acted, the web processes while one of them can answer.

What tells an outage from a quiet minute. The clock beats as it acts; each web process by a thread of its own, which
stands still when the process does.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from datetime import datetime

import click
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy import DateTime, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model, hot, release, transaction

log = logging.getLogger(__name__)

DOORS_BEAT_S = 2.0
# No web process has beaten for so long: nobody could come in. Five beats, so that a busy second is no silence.
DOORS_SILENT_S = 10
# After so long the doors are taken to be closed for good, and deadlines are acted on again.
DOORS_CLOSED_S = 86400


class Heartbeat(Model):
    """One row for each process role whose silence means an outage.

    `web` is the latest beat of any web process; `silent_from` and `silent_until` are its last silence, until the clock
    has judged it. `given_back_until`, in the clock's row, is the moment up to which silences have been given back.
    """

    __tablename__ = "heartbeat"

    role: Mapped[str] = mapped_column(Text, primary_key=True)
    beat_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    silent_from: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    silent_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    given_back_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


# Of many web processes one writes: who finds a fresh beat leaves it.
_BEAT_AS_WEB = """
INSERT INTO heartbeat AS h (role) VALUES ('web')
ON CONFLICT (role) DO UPDATE SET beat_at = clock_timestamp(),
       silent_from = CASE WHEN clock_timestamp() - h.beat_at > make_interval(secs => %(silent_s)s)
                          THEN coalesce(h.silent_from, h.beat_at) ELSE h.silent_from END,
       silent_until = CASE WHEN clock_timestamp() - h.beat_at > make_interval(secs => %(silent_s)s)
                           THEN clock_timestamp() ELSE h.silent_until END
 WHERE h.beat_at NOT BETWEEN clock_timestamp() - interval '1 second' AND clock_timestamp()
"""

_SERVERS = frozenset({"gunicorn", "granian"})
_beating_in: int | None = None


def beat_as_web() -> None:
    """Say that a web process can answer; a silence that ends with it is noted. Opens its own transaction."""
    with transaction():
        hot(_BEAT_AS_WEB, {"silent_s": DOORS_SILENT_S})


def keep_beating(app: Flask) -> None:
    """Beat from a thread of this process's own every DOORS_BEAT_S, once a process; nothing where no server runs."""
    global _beating_in  # noqa: PLW0603 - one thread a process, also after a fork
    if _beating_in == os.getpid() or not _is_served():
        return
    _beating_in = os.getpid()
    threading.Thread(target=_beat_for_ever, args=(app,), name="heartbeat", daemon=True).start()


def _is_served() -> bool:
    """Whether a web server has loaded the application; commands and tests load it as well."""
    context = click.get_current_context(silent=True)
    if context is not None and context.find_object(ScriptInfo) is not None:
        return context.info_name == "run"
    return not _SERVERS.isdisjoint(sys.modules)


def _beat_for_ever(app: Flask) -> None:
    pause = threading.Event()
    while True:
        try:
            with app.app_context():
                try:
                    beat_as_web()
                finally:
                    release()
        except Exception:
            log.debug("the beat could not be written", exc_info=True)
        pause.wait(DOORS_BEAT_S)
