"""What time it is by the database's clock, without asking it each time.

A machine's own clock may be wrong, and several machines have several. What is decided by a moment (is a rate still fresh,
has a key expired) goes by the one clock that deadlines go by. It is asked once a minute; in between this process
counts the seconds itself, with a clock that nobody sets.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from portal.core.db import hot, read_rows_aside
from portal.core.errors import Unavailable

ASK_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class _Asked:
    moment: datetime
    at: float

    def now(self) -> datetime:
        return self.moment + timedelta(seconds=time.monotonic() - self.at)


_asked: _Asked | None = None


def database_now() -> datetime:
    """The database's time in UTC. One statement a minute and process; needs an application context for that.

    Goes on from what it knew when the database does not answer, and by this machine's clock when it knew nothing.
    """
    global _asked  # noqa: PLW0603 - one clock a process
    known = _asked
    if known is not None and time.monotonic() - known.at < ASK_EVERY_S:
        return known.now()
    try:
        before = time.monotonic()
        moment = read_rows_aside("SELECT clock_timestamp() AS now")[0]["now"]
    except (SQLAlchemyError, psycopg.Error, Unavailable):
        return known.now() if known is not None else datetime.now(UTC)
    _asked = _Asked(moment, (before + time.monotonic()) / 2)
    return _asked.now()


def transaction_now() -> datetime:
    """When the present transaction() began, by the database's clock (UTC): the `now()` of its statements."""
    moment: datetime = hot("SELECT now() AS now")[0]["now"]
    return moment
