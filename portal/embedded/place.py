"""Where an embedded server may keep its files: reachable for its user, private, short enough for a socket."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from portal.settings import launch_settings

# sun_path holds 108 bytes with its closing zero; the longest name in a socket directory is .s.PGSQL.5432.lock
LONGEST_SOCKET_DIRECTORY = 107 - len("/.s.PGSQL.5432.lock")


class EmbeddedServerError(RuntimeError):
    """An embedded server can't be used; the message is one sentence for the person at the terminal."""


def refuse_in_production() -> None:
    """Raises EmbeddedServerError where ENVIRONMENT is production."""
    if launch_settings().environment == "production":
        raise EmbeddedServerError(
            "Embedded servers are for development only: set DATABASE_URL and REDIS_URL in production."
        )


@dataclass(frozen=True)
class Account:
    """The ordinary user as whom a server runs when we are root."""

    uid: int
    gid: int


def server_account(data: Path) -> Account | None:
    """None for an ordinary user; for root whoever owns `data`, else the first of postgres and nobody."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError("PostgreSQL refuses to run as root, and there is no user postgres or nobody.")


def is_reachable(path: Path, account: Account | None) -> bool:
    """Whether `account` may enter every directory from the root down to `path` (None: may enter all)."""
    if account is None:
        return True
    return all(_may_enter(folder, account) for folder in [*reversed(path.resolve().parents), path.resolve()])


def _may_enter(folder: Path, account: Account) -> bool:
    if not folder.exists():
        return True
    state = folder.stat()
    if state.st_uid == account.uid:
        return bool(state.st_mode & 0o100)
    if state.st_gid == account.gid:
        return bool(state.st_mode & 0o010)
    return bool(state.st_mode & 0o001)


def private_directory(path: Path, account: Account | None) -> Path:
    """Make `path` (mode 0700, owned by `account`); its parents keep the mode and owner they have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    return path


def elsewhere(pointer: Path, parent: Path, account: Account | None) -> Path:
    """A private directory under `parent`, the same one each time: the file `pointer` names it.

    Its name is random, so that nobody can have made it before us. A new one is made when it is gone.
    """
    if pointer.is_file():
        known = Path(pointer.read_text(encoding="utf-8").strip())
        if known.is_dir():
            return known
    made = Path(tempfile.mkdtemp(prefix="nostro-", dir=parent))
    if account is not None:
        os.chown(made, account.uid, account.gid)
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.write_text(f"{made}\n", encoding="utf-8")
    return made


def socket_directory(root: Path, account: Account | None) -> Path:
    """`root`/sock, or a short private directory when the path of a socket in it would be too long."""
    wanted = root / "sock"
    if len(os.fsencode(wanted)) <= LONGEST_SOCKET_DIRECTORY:
        return private_directory(wanted, account)
    return elsewhere(root / "socket-is-in", Path(tempfile.gettempdir()), account)


def forget(root: Path) -> None:
    """Remove everything a stopped server kept, also what its pointer files name."""
    for pointer in (root / "data-is-in", root / "socket-is-in"):
        if pointer.is_file():
            named = Path(pointer.read_text(encoding="utf-8").strip())
            forget_directory(named)
    shutil.rmtree(root, ignore_errors=True)


def forget_directory(named: Path) -> None:
    """Remove a directory made by `elsewhere`, and only such a one; what it points to goes too."""
    if not named.name.startswith("nostro-"):
        return
    inner = named / "socket-is-in"
    if inner.is_file():
        forget_directory(Path(inner.read_text(encoding="utf-8").strip()))
    shutil.rmtree(named, ignore_errors=True)


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Hold the lock file; waits for another process that is starting or stopping the same server."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
