"""Small tables kept whole in process: a hot request reads them without a query and without Redis.

A snapshot is a cache of one value: loaded in one go, immutable, and used until it is `max_age_s` old or another
process has changed the tables (portal.core.cache says how that is heard).
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar, cast
from weakref import ref

import redis
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session, SessionTransaction

from portal.core.cache import Cache, Held
from portal.core.db import after_commit, db
from portal.core.redis import guarded_client

log = logging.getLogger(__name__)
T = TypeVar("T")

_COPY_TTL_S = 300
_CHANGED = "changed_snapshots"
_WHOLE = b""
_snapshots: list[Snapshot[Any]] = []
# Sessions that have changed a snapshot's tables and not ended yet: mostly none, and then nobody looks closer.
# By id, not a WeakSet: every get() asks whether it is empty, which a dict answers three times as fast.
_changing: dict[int, ref[Session]] = {}


class Snapshot(Cache[T]):
    """One immutable value made from tables, shared by the threads of a process.

    `load` must read all it needs through the connection it is given. With `copy_in_redis` (for JSON values
    only) a new process takes the copy of this state that another one has left. In a transaction that has
    itself changed the tables, the value is made anew and kept by nobody: a roll-back leaves no trace.
    """

    _PREFIX = "nostro:snapshot"

    def __init__(
        self,
        name: str,
        load: Callable[[Connection], T],
        max_age_s: Callable[[], float],
        *,
        copy_in_redis: bool = False,
    ) -> None:
        super().__init__(name)
        self._load = load
        self._max_age_s = max_age_s
        self._copy_in_redis = copy_in_redis
        self._loading = threading.Lock()
        # What `max_age_s` said when the value was loaded.
        self._lasts_s = 0.0
        _snapshots.append(self)

    def get(self) -> T:
        """The present value; loaded when there is none, it is too old, or another process changed it."""
        now = monotonic()
        if now < self._look_at and not _changing:
            held = self._page.get(_WHOLE)
            if held is not None and now - held.since < self._lasts_s:
                return held.value
        return self._get_with_care()

    def _get_with_care(self) -> T:
        if _changing and self.name in db.session().info.get(_CHANGED, ()):
            return self._load(db.session.connection())
        held = self.page().get(_WHOLE)
        if held is not None and monotonic() - held.since < self._lasts_s:
            return held.value
        return self._reload(held)

    def changed(self) -> None:
        """Say inside transaction() that the tables were changed: heard everywhere after the commit."""
        session = db.session()
        session.info.setdefault(_CHANGED, set()).add(self.name)
        _note_change(session)
        after_commit(self._committed)

    def _committed(self) -> None:
        session = db.session()
        changed = session.info.get(_CHANGED, set())
        changed.discard(self.name)
        if not changed:
            _changing.pop(id(session), None)
        self.forget()

    def _reload(self, seen: Held[T] | None) -> T:
        with self._loading:
            held = self._page.get(_WHOLE)
            if held is not None and held is not seen:
                return held.value  # another thread was faster
            # The mark is read before the tables: a change in between tears the page out at the next look.
            self._look(monotonic())
            page = self._page
            value = self._copied(page.mark)
            if value is None:
                value = self._read()
                self._leave_copy(page.mark, value)
            self._lasts_s = self._max_age_s()
            self.put(page, _WHOLE, value)
            return value

    def _read(self) -> T:
        """Use the caller's transaction if there is one; never begin one that nobody would end."""
        if db.session().in_transaction():
            return self._load(db.session.connection())
        bind = db.session.get_bind()
        if isinstance(bind, Engine):
            with bind.connect() as connection:
                return self._load(connection)
        return self._load(bind)

    def _copied(self, mark: bytes) -> T | None:
        if not self._copy_in_redis or not mark:
            return None
        try:
            with guarded_client() as client:
                copy = client.get(self._copy_key(mark))
            return cast("T", json.loads(cast("bytes", copy))) if copy else None
        except (redis.RedisError, ValueError):
            return None

    def _leave_copy(self, mark: bytes, value: T) -> None:
        if not self._copy_in_redis or not mark:
            return
        try:
            with guarded_client() as client:
                client.set(self._copy_key(mark), json.dumps(value), ex=_COPY_TTL_S)
        except redis.RedisError:
            log.info("no copy of %s left in Redis", self.name)

    def _copy_key(self, mark: bytes) -> str:
        return f"{self._mark_key}:{mark.decode()}"


def _note_change(session: Session) -> None:
    key = id(session)
    _changing[key] = ref(session, lambda _: _changing.pop(key, None))


@event.listens_for(Session, "after_soft_rollback")
def _rolled_back(session: Session, ended: SessionTransaction) -> None:
    if not ended.nested:
        session.info.pop(_CHANGED, None)
        _changing.pop(id(session), None)


def forget_all() -> None:
    """Drop every snapshot everywhere (after tables were changed behind the services' back)."""
    for snapshot in _snapshots:
        snapshot.forget()
