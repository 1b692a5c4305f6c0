"""Passwords: argon2id (19 MiB, t=2, p=1), a few at a time, the same time for nobody as for somebody."""

from __future__ import annotations

import threading
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from portal.core.errors import Unavailable

MAX_BYTES = 256
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each takes a core for tens of milliseconds: a flood of sign-ins must not take them all.
_running = threading.BoundedSemaphore(2)
_WAIT_S = 2.0


def hash_password(password: str) -> str:
    """The hash to be stored. Raises ValueError for more than MAX_BYTES."""
    if len(password.encode()) > MAX_BYTES:
        raise ValueError(f"a password may have {MAX_BYTES} bytes")
    return _hasher.hash(password)


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher.hash("nobody has this password")


def is_password_right(stored: str | None, password: str) -> bool:
    """Whether the password fits; without a stored hash it takes the same time and is False.

    Raises Unavailable when too many are being checked.
    """
    if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return False
    if not _running.acquire(timeout=_WAIT_S):
        raise Unavailable("Too many people are signing in at this moment.")
    try:
        return _hasher.verify(stored or _nobodys_hash(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
    finally:
        _running.release()


def needs_rehash(stored: str) -> bool:
    """Whether the hash was made with other figures than today's."""
    return _hasher.check_needs_rehash(stored)
