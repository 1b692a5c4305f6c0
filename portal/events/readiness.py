"""Whether a process may be given work: what it needs is there, and what it leaves to others gets done.

Alive is another question: a process whose database is away is alive, and killing it would mend nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache

import psycopg
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from portal.core.db import hot, release, transaction
from portal.core.queues import QueueName, is_paused, paused_queues
from portal.core.schema.catalogue import MIGRATIONS
from portal.events.queries import outbox_overdue_s

log = logging.getLogger(__name__)

# How late work may be before somebody must look. The clock beats twice a second.
OUTBOX_LATE_S = 60.0
CLOCK_LATE_S = 30.0
# Several who ask at once get one answer.
KEEP_S = 1.0
PAUSED = "paused:"
# Old rates are those of the whole house.
TOLD_ONLY = frozenset({"rates"})

_WRITE = """
INSERT INTO heartbeat (role) VALUES ('probe') ON CONFLICT (role) DO UPDATE SET beat_at = clock_timestamp()
"""
_SILENCE = """
SELECT extract(epoch FROM clock_timestamp() - beat_at)::float8 AS silent_s FROM heartbeat WHERE role = 'clock'
"""
_REVISIONS = "SELECT version_num FROM alembic_version"

_asking = threading.Lock()
_answer: tuple[float, dict[str, str]] | None = None


def check_readiness(**others: Callable[[], str]) -> dict[str, str]:
    """`ok` or what is wrong, for database, migrations, outbox, clock and queues. Takes a connection of its own.

    `others` are checks of packages above this one, by name; each reads. Needs an application context. Never raises.
    """
    global _answer  # noqa: PLW0603 - kept for a moment
    with _asking:
        if _answer is None or time.monotonic() - _answer[0] > KEEP_S:
            _answer = (time.monotonic(), _look(others))
        return _answer[1]


def is_ready(checks: dict[str, str]) -> bool:
    """What somebody has paused, and what no other process would have better, is no reason to give this one no work."""
    return all(
        result == "ok" or result.startswith(PAUSED) or name in TOLD_ONLY for name, result in checks.items()
    )


def forget_answer() -> None:
    """Look anew at the next question."""
    global _answer  # noqa: PLW0603 - as above
    _answer = None


def clock_silent_s() -> float | None:
    """Seconds since the clock last acted; None when it never did."""
    rows = hot(_SILENCE)
    return float(rows[0]["silent_s"]) if rows else None


def _look(others: Mapping[str, Callable[[], str]]) -> dict[str, str]:
    try:
        release()
        with transaction():
            hot(_WRITE)
        with transaction():
            return {
                "database": "ok", "migrations": _migrations(), "outbox": _outbox(), "clock": _clock(),
                "queues": _queues(), **{name: check() for name, check in others.items()},
            }  # fmt: skip
    except (SQLAlchemyError, psycopg.Error) as error:
        log.warning("not ready: the database can't be written: %s", type(error).__name__)
        return {"database": "not writable"}
    finally:
        release()


def _migrations() -> str:
    """Behind is wrong. Ahead is right: the next release's migrations run before its code does."""
    heads, known = _revisions()
    present = {row["version_num"] for row in hot(_REVISIONS)}
    if present == heads or present - known:
        return "ok"
    return "behind" if present else "missing"


@lru_cache(maxsize=1)
def _revisions() -> tuple[set[str], set[str]]:
    """The heads of this code's migrations, and all that it knows."""
    script = ScriptDirectory(str(MIGRATIONS))
    return set(script.get_heads()), {each.revision for each in script.walk_revisions()}


def _queues() -> str:
    paused = paused_queues()
    return f"{PAUSED} {', '.join(sorted(paused))}" if paused else "ok"


def _outbox() -> str:
    if is_paused(QueueName.EVENTS):
        return f"{PAUSED} events"
    return "late" if outbox_overdue_s() > OUTBOX_LATE_S else "ok"


def _clock() -> str:
    silent_s = clock_silent_s()
    return "silent" if silent_s is None or silent_s > CLOCK_LATE_S else "ok"
