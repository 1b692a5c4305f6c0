"""Timing calls inside this process, one side against another."""

from __future__ import annotations

import statistics
from collections.abc import Callable

WARM_UP = 50
Take = Callable[[], float]


def alternating(sides: dict[str, Take], repeats: int) -> dict[str, float]:
    """Median milliseconds of each, one call of each in turn, so that what else the machine does meets all alike."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(WARM_UP + repeats):
        for name in names[:: -1 if number % 2 else 1]:
            taken[name].append(sides[name]())
    return {name: statistics.median(values[WARM_UP:]) * 1000 for name, values in taken.items()}
