"""Processor time of the processes under test, read from /proc: steadier than requests per second."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/<pid>/stat says of one process."""

    pid: int
    parent: int
    group: int
    cpu_s: float


def _stats() -> list[Stat]:
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text()
        except OSError:
            continue
        fields = text[text.rfind(")") + 2 :].split()
        used = int(fields[11]) + int(fields[12])
        found.append(Stat(int(folder.name), int(fields[1]), int(fields[2]), used * _TICK_S))
    return found


def of_group(group: int) -> Callable[[], dict[int, float]]:
    """Reads seconds of processor time of every process in a process group, by pid."""
    return lambda: {stat.pid: stat.cpu_s for stat in _stats() if stat.group == group}


def of_children(parent: int) -> Callable[[], dict[int, float]]:
    """The same of a process and its direct children: a postmaster and its backends."""
    return lambda: {stat.pid: stat.cpu_s for stat in _stats() if parent in (stat.pid, stat.parent)}


def spent(before: dict[int, float], after: dict[int, float]) -> float:
    """Seconds between two readings. A process that ended in between is lost, one that began counts whole."""
    return sum(used - before.get(pid, 0.0) for pid, used in after.items())
