"""A bar on stderr for what takes long, so that stdout stays for the answer."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

import click


class Bars:
    """One bar after the other, as the work says what it does; none with `shown` False or without a terminal."""

    def __init__(self, *, shown: bool = True) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._phase: str | None = None
        self._done = 0
        self._bar: Any = None

    def tell(self, phase: str, done: int, total: int) -> None:
        """`done` of `total` of this phase. May be called from another thread, one at a time."""
        if not self._shown:
            return
        if phase != self._phase:
            self._end()
            self._phase, self._done = phase, 0
            self._bar = click.progressbar(length=max(total, 1), label=f"{phase:10}", file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(max(0, done - self._done))
        self._done = max(done, self._done)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
