"""Whose file is read now: a few at a time, one of each uploader, never all of one group, and nobody waits for long.

An uploader is `kind:name`. On pages that anybody may open it is the network that they come from (`uploader_at`):
a link costs nothing, so twenty links of one network are one uploader, and so are all addresses of an IPv6 /48. Who is
not signed in, by address or by a store's key, is of one group: names of that kind can be had for little. Whose file
had to be killed is not read again in that minute.

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
from portal.core.limits import SITE, WINDOW_S, RequestCounter, network_of
from portal.core.uploads.sandbox import Killed
from portal.settings import get_settings

RUNNING = 3
WAITING_OF_EACH = 3
PATIENCE_S = 3.0
# Whoever is told to send a screenshot instead may do so at once.
KILLED_A_MINUTE = 2
_LOOK_AGAIN_S = 0.05
# Uploaders of one group and number wait for each other on a machine: few enough files, and seldom the same one.
_NUMBERS = 256
_FOLDER = ".turns"
_OUTSIDE = frozenset({"network", "store"})

costly = RequestCounter("uploads:costly")


class UploadsBusy(Unavailable):
    """The turn did not come. Everybody's words for it are a few seconds."""

    code, title = "uploads_busy", "Many files are being read at this moment"
    sentence = "Many files are being read at this moment. Try again in a few seconds."

    def __init__(self, retry_after_s: int = 5) -> None:
        super().__init__(self.sentence, retry_after_s=retry_after_s)


class UploadsPaused(UploadsBusy):
    """The uploader's files had to be killed: refused for the `wait_s` seconds (1 to 60) that are left of the minute."""

    code, title = "uploads_paused", "Files of this uploader took too much to read"
    sentence = "Files that came from here took too much to read. Try again after a pause."

    def __init__(self, wait_s: int) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


def uploader_at(address: str | None) -> str:
    """Who uploads where no sign-in is needed: the IPv4 address, or the /48 of an IPv6 address."""
    return f"network:{network_of(address, SITE)}"


def group_of(uploader: str) -> str:
    """Who shares what one group may hold: all who are not signed in, and each kind of those who are."""
    kind = uploader.partition(":")[0]
    return "outside" if kind in _OUTSIDE else kind


def most_of_a_group(places: int) -> int:
    """One place is always left for the other groups, so that flooded payment pages keep no trader from their work."""
    return max(1, places - 1)


class Turns:
    """The queue of one process. A name runs once at a time; who came first goes first unless their name runs.

    Of one group `most_of_a_group(running)` run, and three quarters of those who wait.
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
        of_group = sum(group_of(one) == group_of(name) for one in self._running)
        is_free = len(self._running) < running and of_group < most_of_a_group(running)
        return is_free and name not in self._running

    def _join(self, ticket: tuple[str, object]) -> None:
        _running, waiting, of_each = self._limits
        names = [name for name, _ in self._waiting]
        of_group = sum(group_of(name) == group_of(ticket[0]) for name in names)
        is_full = len(names) >= waiting or of_group >= waiting - waiting // 4
        if is_full or names.count(ticket[0]) >= of_each:
            raise UploadsBusy()
        self._waiting.append(ticket)


@contextmanager
def machine_turn(folder: Path, name: str, places: int, patience_s: float) -> Iterator[None]:
    """One of `places` on this machine, the only one under this name, never the last place for its group.

    Raises UploadsBusy.
    """
    until, group = time.monotonic() + patience_s, group_of(name)
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % _NUMBERS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as held:
        _lock_one([folder / f"{group}-uploader-{number}"], until, held)
        _lock_one([folder / f"{group}-{place}" for place in range(most_of_a_group(places))], until, held)
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
    """The uploader's turn, in this process and on this machine. Raises UploadsBusy after PATIENCE_S at most twice.

    When Killed has come out of it KILLED_A_MINUTE times, the uploader is refused at once for the rest of the minute, in
    all processes: UploadsPaused.
    """
    _refuse_costly(uploader)
    folder = get_settings().uploads_dir.resolve() / _FOLDER
    places = max(RUNNING, os.cpu_count() or 1)
    with _turns_here().turn(uploader), machine_turn(folder, uploader, places, PATIENCE_S):
        _refuse_costly(uploader)  # the file before theirs may have been killed while they waited
        try:
            yield
        except Killed:
            costly.everywhere(uploader, 1)
            raise


def _refuse_costly(uploader: str) -> None:
    if costly.everywhere(uploader) >= KILLED_A_MINUTE:
        raise UploadsPaused(WINDOW_S - int(time.time()) % WINDOW_S)
