"""Passwords: argon2id (19 MiB, t=2, p=1), one at a time, the same time for nobody as for somebody."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from functools import lru_cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from portal.core.errors import Unavailable

T = TypeVar("T")

MAX_BYTES = 256
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_WAIT_S = 2.0
_NICE = 10


def _step_back() -> None:
    """On Linux the niceness is a thread's own."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


@lru_cache(maxsize=1)
def _desk(_pid: int) -> ThreadPoolExecutor:
    """Each hash takes a core for tens of milliseconds. One at a time in a process, on a thread that lets others go
    first: whoever signs in waits a little, and nobody else's page does."""
    return ThreadPoolExecutor(1, thread_name_prefix="passwords", initializer=_step_back)


def hash_password(password: str) -> str:
    """The hash to be stored. Raises ValueError for more than MAX_BYTES, Unavailable when too many wait."""
    if len(password.encode()) > MAX_BYTES:
        raise ValueError(f"a password may have {MAX_BYTES} bytes")
    return _in_turn(lambda: _hasher.hash(password))


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher.hash("nobody has this password")


def is_password_right(stored: str | None, password: str) -> bool:
    """Whether the password fits; without a stored hash it takes the same time and is False.

    Raises Unavailable when too many wait.
    """
    if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return False
    try:
        fits = _in_turn(lambda: _hasher.verify(stored or _nobodys_hash(), password))
        return fits and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def _in_turn(work: Callable[[], T]) -> T:
    turn = _desk(os.getpid()).submit(work)
    try:
        return turn.result(timeout=_WAIT_S)
    except TookTooLong:
        turn.cancel()
        raise Unavailable("Too many people are signing in at this moment.") from None


def needs_rehash(stored: str) -> bool:
    """Whether the hash was made with other figures than today's."""
    return _hasher.check_needs_rehash(stored)
