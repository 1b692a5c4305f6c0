"""Whose file is read now: a few at a time, one of each uploader, never all of one kind, and nobody waits for long.

An uploader is `kind:name`. On pages that anybody may open it is the network that they come from (`uploader_at`):
a link costs nothing, so twenty links of one network are one uploader, and so are all addresses of an IPv6 /48.

A request that waits holds a thread of its server, so few may wait and for a short time; then they are told to come
back. Within a process that is a queue; for all processes of a machine it is locks on files beside the uploads, which
the kernel opens again when their holder dies. Machines that share that folder share the bound.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from portal.core.errors import Unavailable
from portal.core.limits import SITE, network_of
from portal.settings import get_settings

RUNNING = 3
WAITING_OF_EACH = 3
PATIENCE_S = 3.0
_LOOK_AGAIN_S = 0.05
# Uploaders of one number wait for each other on a machine: few enough files, and seldom the same one.
_NUMBERS = 256
_FOLDER = ".turns"


class UploadsBusy(Unavailable):
    code, title = "uploads_busy", "Many files are being read at this moment"

    def __init__(self) -> None:
        super().__init__(
            "Many files are being read at this moment. Try again in a few seconds.", retry_after_s=5
        )


def uploader_at(address: str | None) -> str:
    """Who uploads where no sign-in is needed: the IPv4 address, or the /48 of an IPv6 address."""
    return f"network:{network_of(address, SITE)}"


def kind_of(uploader: str) -> str:
    return uploader.partition(":")[0]


def most_of_a_kind(places: int) -> int:
    """One place is always left for the other kinds, so that flooded payment pages keep no trader from their work."""
    return max(1, places - 1)


class Turns:
    """The queue of one process. A name runs once at a time; who came first goes first unless their name runs.

    Of one kind `most_of_a_kind(running)` run, and three quarters of those who wait.
    """

    def __init__(self, running: int, waiting: int, waiting_of_each: int, patience_s: float) -> None:
        self._limits = running, waiting, waiting_of_each
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._running: list[str] = []
        self._waiting: list[tuple[str, object]] = []

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Raises UploadsBusy at once when too many wait, or when the patience has run out."""
        with self._changed:
            self._wait(name)
            self._running.append(name)
        try:
            yield
        finally:
            with self._changed:
                self._running.remove(name)
                self._changed.notify_all()

    def _wait(self, name: str) -> None:
        ticket = (name, object())
        if not self._may(ticket, [*self._waiting, ticket]):
            self._join(ticket)
            try:
                if not self._changed.wait_for(lambda: self._may(ticket, self._waiting), self._patience_s):
                    raise UploadsBusy()
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def _may(self, ticket: tuple[str, object], waiting: list[tuple[str, object]]) -> bool:
        return next((one for one in waiting if self._fits(one[0])), None) is ticket

    def _fits(self, name: str) -> bool:
        running = self._limits[0]
        of_kind = sum(kind_of(one) == kind_of(name) for one in self._running)
        is_free = len(self._running) < running and of_kind < most_of_a_kind(running)
        return is_free and name not in self._running

    def _join(self, ticket: tuple[str, object]) -> None:
        _running, waiting, of_each = self._limits
        names = [name for name, _ in self._waiting]
        of_kind = sum(kind_of(name) == kind_of(ticket[0]) for name in names)
        is_full = len(names) >= waiting or of_kind >= waiting - waiting // 4
        if is_full or names.count(ticket[0]) >= of_each:
            raise UploadsBusy()
        self._waiting.append(ticket)


@contextmanager
def machine_turn(folder: Path, name: str, places: int, patience_s: float) -> Iterator[None]:
    """One of `places` on this machine, the only one under this name, never the last place for its kind.

    Raises UploadsBusy.
    """
    until = time.monotonic() + patience_s
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % _NUMBERS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as held:
        _lock_one([folder / f"uploader-{number}"], until, held)
        _lock_one(
            [folder / f"{kind_of(name)}-{place}" for place in range(most_of_a_kind(places))], until, held
        )
        _lock_one([folder / f"place-{place}" for place in range(places)], until, held)
        yield


def _lock_one(paths: list[Path], until: float, held: ExitStack) -> None:
    while True:
        for path in paths:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            held.callback(os.close, descriptor)
            return
        if time.monotonic() >= until:
            raise UploadsBusy()
        time.sleep(_LOOK_AGAIN_S)


_here: Turns | None = None
_making = threading.Lock()


def _turns_here() -> Turns:
    global _here  # noqa: PLW0603 - one queue in each process
    with _making:
        if _here is None:
            _here = Turns(RUNNING, get_settings().uploads_waiting, WAITING_OF_EACH, PATIENCE_S)
        return _here


@contextmanager
def turn_of(uploader: str) -> Iterator[None]:
    """The uploader's turn, in this process and on this machine. Raises UploadsBusy after PATIENCE_S at most twice."""
    folder = get_settings().uploads_dir.resolve() / _FOLDER
    places = max(RUNNING, os.cpu_count() or 1)
    with _turns_here().turn(uploader), machine_turn(folder, uploader, places, PATIENCE_S):
        yield
