"""Small tables kept whole in process: a hot request reads them without a query and without Redis.

A snapshot is loaded in one go, is immutable, and is used until it is `max_age_s` old or another process
has changed the tables. Changes are told through a random mark in Redis, looked at once a second. Redis is a
hint: without it, a change is heard when the snapshot is too old.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast
from uuid import uuid4
from weakref import WeakSet

import redis
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session, SessionTransaction

from portal.core.db import after_commit, db
from portal.core.redis import guarded_client, request_client

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_EVERY_S = 1.0
# After a failed look, Redis is left alone this long, so that its timeout is not paid by every second request.
LOOK_AGAIN_AFTER_FAILURE_S = 5.0
_MARK_TTL_S = 7 * 86400
_COPY_TTL_S = 300
_CHANGED = "changed_snapshots"
_snapshots: list[Snapshot[Any]] = []
# Sessions that have changed a snapshot's tables and not ended yet: mostly none, and then nobody looks closer.
_changing: WeakSet[Session] = WeakSet()


@dataclass(frozen=True, slots=True)
class _Held(Generic[T]):
    value: T
    mark: str
    too_old_at: float


class Snapshot(Generic[T]):
    """One immutable value made from tables, shared by the threads of a process.

    `load` must read all it needs through the connection it is given. With `copy_in_redis` (for JSON values
    only) a new process takes the copy of this state that another one has left. In a transaction that has
    itself changed the tables, the value is made anew and kept by nobody: a roll-back leaves no trace.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[Connection], T],
        max_age_s: Callable[[], float],
        *,
        copy_in_redis: bool = False,
    ) -> None:
        self.name = name
        self._load = load
        self._max_age_s = max_age_s
        self._copy_in_redis = copy_in_redis
        self._lock = threading.Lock()
        self._held: _Held[T] | None = None
        self._look_at = 0.0
        self._mark = ""
        _snapshots.append(self)

    def get(self) -> T:
        """The present value; loaded when there is none, it is too old, or another process changed it."""
        if _changing and self.name in db.session().info.get(_CHANGED, ()):
            return self._load(db.session.connection())
        held, now = self._held, time.monotonic()
        if held is not None:
            if now >= self._look_at:
                self._look(now)
            if held.mark == self._mark and now < held.too_old_at:
                return held.value
        return self._reload(held, now)

    def changed(self) -> None:
        """Say inside transaction() that the tables were changed: heard everywhere after the commit."""
        session = db.session()
        session.info.setdefault(_CHANGED, set()).add(self.name)
        _changing.add(session)
        after_commit(self._tell)

    def _tell(self) -> None:
        session = db.session()
        changed = session.info.get(_CHANGED, set())
        changed.discard(self.name)
        if not changed:
            _changing.discard(session)
        self.forget()

    def forget(self) -> None:
        """Drop what this process holds, and tell the others to do the same. Needs no app context."""
        with self._lock:
            self._held = None
        try:
            request_client().set(self._key, uuid4().hex, ex=_MARK_TTL_S)
        except redis.RedisError:
            log.warning("cannot tell other processes that %s changed; they notice by age", self.name)

    def _reload(self, seen: _Held[T] | None, now: float) -> T:
        with self._lock:
            if self._held is not None and self._held is not seen:
                return self._held.value  # another thread was faster
            # The mark is read before the tables: a change in between makes the next look reload.
            self._look(now)
            mark = self._mark
            value = self._copied(mark)
            if value is None:
                value = self._read()
                self._leave_copy(mark, value)
            self._held = _Held(value, mark, time.monotonic() + self._max_age_s())
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

    def _look(self, now: float) -> None:
        self._look_at = now + LOOK_EVERY_S
        try:
            with guarded_client() as client:
                mark = client.get(self._key)
                if mark is None:
                    client.set(self._key, uuid4().hex, ex=_MARK_TTL_S, nx=True)
                    mark = client.get(self._key)
        except redis.RedisError:
            self._look_at = now + LOOK_AGAIN_AFTER_FAILURE_S
            log.warning("cannot ask Redis whether %s changed; using what is known", self.name)
            return
        self._mark = cast("bytes", mark or b"").decode()

    def _copied(self, mark: str) -> T | None:
        if not self._copy_in_redis or not mark:
            return None
        try:
            with guarded_client() as client:
                copy = client.get(f"{self._key}:{mark}")
            return cast("T", json.loads(cast("bytes", copy))) if copy else None
        except (redis.RedisError, ValueError):
            return None

    def _leave_copy(self, mark: str, value: T) -> None:
        if not self._copy_in_redis or not mark:
            return
        try:
            with guarded_client() as client:
                client.set(f"{self._key}:{mark}", json.dumps(value), ex=_COPY_TTL_S)
        except redis.RedisError:
            log.info("no copy of %s left in Redis", self.name)

    @property
    def _key(self) -> str:
        return f"nostro:snapshot:{self.name}"


@event.listens_for(Session, "after_soft_rollback")
def _rolled_back(session: Session, ended: SessionTransaction) -> None:
    if not ended.nested:
        session.info.pop(_CHANGED, None)
        _changing.discard(session)


def forget_all() -> None:
    """Drop every snapshot everywhere (after tables were changed behind the services' back)."""
    for snapshot in _snapshots:
        snapshot.forget()
