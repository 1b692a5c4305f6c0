"""Processes of a stage, by role: started by the commands of docs/running.md, killed, frozen, started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
STOP_S = 12.0
# Nothing of a stage outlives the tests, however they end.
_TIED_TO_US = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()


@dataclass
class Actor:
    """One role of the stage. All processes of it are one group, so that a signal reaches a server's children too."""

    role: str
    command: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    cwd: Path = ROOT
    process: subprocess.Popen[bytes] | None = None
    is_frozen: bool = False
    starts: int = field(default=0)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, **environment: str) -> None:
        """Start it, from the main thread: it ends with whoever started it."""
        assert not self.is_running, f"{self.role} runs already"
        self.environment |= environment
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                (*_TIED_TO_US, *self.command),
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.starts += 1
        self.is_frozen = False

    def kill(self) -> None:
        """kill -9, of all its processes at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.is_frozen = False

    def stop(self) -> int:
        """SIGTERM; its exit code. Fails when it takes too long."""
        self.thaw()
        assert self.process is not None
        if self.is_running:
            self.process.terminate()
        return self.process.wait(STOP_S)

    def freeze(self) -> None:
        os.killpg(self.pid, signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self) -> None:
        if self.is_frozen and self.is_running:
            os.killpg(self.pid, signal.SIGCONT)
        self.is_frozen = False

    def children(self) -> list[int]:
        """The processes that it has started: a web server's workers."""
        with suppress(OSError):
            return [
                int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            ]
        return []

    def resident_mb(self) -> float:
        """Memory of it and its children that is in use and not shared with others, in MiB."""
        return sum(_private_kb(pid) for pid in [self.pid, *self.children()]) / 1024

    def said(self, lines: int = 15) -> str:
        """The end of its log, without the requests that went well."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        told = [line for line in text.splitlines() if '"level":"info"' not in line]
        return "\n".join(told[-lines:])


def _private_kb(pid: int) -> int:
    with suppress(OSError):
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(row.split()[1]) for row in rows if row.startswith("Private_"))
    return 0


def descendants(pid: int) -> Iterator[int]:
    """Everything below a process, the process itself last."""
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from descendants(int(child))
    yield pid


def wait_until(
    condition: Callable[[], object], within_s: float, what: str, *, every_s: float = 0.05
) -> float:
    """Seconds until the condition held. Fails with `what` when it does not in time."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_s, f"after {within_s:.0f} s still not: {what}"
        time.sleep(every_s)
    return time.monotonic() - started
