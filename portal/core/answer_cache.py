"""What may be seconds old and is the same for many: public answers, the reference's page, figures of a home.

Flask-Caching over Redis, so that all processes share it, with this process's memory while Redis is away. Values are
kept as JSON with a mark of the house: what somebody else wrote into Redis is neither run nor shown. Nothing that
decides about money, access or limits is kept here, and nothing of one person: that is what `portal.core.cache` is
for, which hears of changes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import orjson
import redis
from cachelib.serializers import BaseSerializer, JSONSerializer
from cachelib.simple import SimpleCache
from flask import Flask
from flask_caching import Cache
from flask_caching.backends.base import BaseCache

from portal.core.build import VERSION
from portal.core.crypto import is_marked, mark
from portal.core.redis import guarded_client
from portal.settings import get_settings

_PREFIX = "nostro:answers"
_LARGEST_IN_MEMORY = 500


def _name_of(key: str) -> str:
    """In Redis. Another release may give the same key to something else."""
    return f"{_PREFIX}:{VERSION}:{get_settings().release}:{key}"


def _sealed(key: str, text: bytes) -> bytes:
    return f"{mark('answer', _name_of(key), text.decode())} ".encode() + text


def _unsealed(key: str, kept: bytes) -> Any:
    """What the house itself kept under this name; None for what anybody else wrote there."""
    given, _, text = kept.partition(b" ")
    try:
        is_ours = is_marked(given.decode(), "answer", _name_of(key), text.decode())
    except UnicodeDecodeError:
        return None
    return orjson.loads(text) if is_ours else None


class _JsonInMemory(SimpleCache):
    serializer: BaseSerializer = JSONSerializer()  # type: ignore[assignment]  # the library's own is a pickle


class SharedAnswers(BaseCache):
    """Flask-Caching's backend: JSON in Redis behind the circuit breaker, else in this process."""

    def __init__(self) -> None:
        super().__init__()
        self._memory = _JsonInMemory(threshold=_LARGEST_IN_MEMORY)

    def get(self, key: str) -> Any:
        try:
            with guarded_client() as client:
                kept = client.get(_name_of(key))
        except redis.RedisError:
            return self._memory.get(key)
        return None if kept is None else _unsealed(key, cast("bytes", kept))

    def set(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Raises TypeError for what JSON can't say."""
        seconds = self._normalize_timeout(timeout)
        sealed = _sealed(key, orjson.dumps(value))
        try:
            with guarded_client() as client:
                client.set(_name_of(key), sealed, ex=seconds)
        except redis.RedisError:
            return bool(self._memory.set(key, value, seconds))
        return True

    def delete(self, key: str) -> bool:
        self._memory.delete(key)
        try:
            with guarded_client() as client:
                return bool(client.delete(_name_of(key)))
        except redis.RedisError:
            return False

    def clear(self) -> bool:
        """Of all processes, but for the memory of those that do without Redis at present."""
        self._memory.clear()
        try:
            with guarded_client() as client:
                for key in client.scan_iter(f"{_PREFIX}:*"):
                    client.delete(key)
        except redis.RedisError:
            return False
        return True


answers = Cache(config={"CACHE_TYPE": f"{__name__}.SharedAnswers", "CACHE_NO_NULL_WARNING": True})


def register(app: Flask) -> None:
    """Let the application's answers be kept."""
    answers.init_app(app)
