"""Running ours and its yardstick in turn, and what comes out of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from bench.client import Load


@dataclass
class Row:
    """One line of the table: a ratio against what it must reach."""

    what: str
    ours: str
    yardstick: str
    ratio: float
    target: str
    is_reached: bool
    remark: str = ""

    def cells(self) -> list[str]:
        verdict = "yes" if self.is_reached else "NO"
        return [self.what, self.ours, self.yardstick, f"{self.ratio:.2f}", self.target, verdict, self.remark]


@dataclass
class Table:
    rows: list[Row] = field(default_factory=list)

    def at_least(
        self, what: str, ours: float, yardstick: float, least: float, unit: str, remark: str = ""
    ) -> None:
        ratio = ours / yardstick
        self._add(
            what,
            f"{ours:,.0f} {unit}",
            f"{yardstick:,.0f} {unit}",
            ratio,
            f">= {least}",
            ratio >= least,
            remark,
        )

    def at_most(
        self, what: str, ours: float, yardstick: float, most: float, unit: str, remark: str = ""
    ) -> None:
        ratio = ours / yardstick
        self._add(
            what,
            f"{ours:,.2f} {unit}",
            f"{yardstick:,.2f} {unit}",
            ratio,
            f"<= {most}",
            ratio <= most,
            remark,
        )

    def _add(
        self, what: str, ours: str, yardstick: str, ratio: float, target: str, reached: bool, remark: str
    ) -> None:
        self.rows.append(Row(what, ours, yardstick, ratio, target, reached, remark))
        print("  ".join(self.rows[-1].cells()), flush=True)

    def markdown(self) -> str:
        head = ["what", "ours", "yardstick", "ratio", "target", "reached", "remark"]
        lines = [head, ["---"] * len(head), *(row.cells() for row in self.rows)]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"

    def json(self) -> list[dict[str, object]]:
        return [asdict(row) for row in self.rows]


def in_turn(runs: dict[str, Callable[[], Load]], rounds: int) -> dict[str, list[Load]]:
    """Run each once to warm up, then all of them in turn; raises when an answer was not the expected one."""
    for run in runs.values():
        run()
    results: dict[str, list[Load]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            load = run()
            if load.unexpected and sum(load.unexpected.values()) > len(load.latencies) // 100:
                raise RuntimeError(f"{name}: unexpected answers {load.unexpected}: {load.example!r}")
            results[name].append(load)
    return results


def median_rate(loads: list[Load]) -> float:
    return statistics.median(load.per_second for load in loads)


def median_p95(loads: list[Load]) -> float:
    """Milliseconds."""
    return statistics.median(load.percentile(0.95) for load in loads)
