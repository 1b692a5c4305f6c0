"""Running ours and its yardstick in turn, and what comes out of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from bench.client import Load
from bench.meter import of_children, of_group, spent
from bench.stage import Server


@dataclass
class Row:
    """One line of the table: a ratio against what it must reach. Without a target it is only reported."""

    what: str
    ours: str
    yardstick: str
    ratio: float
    target: str
    is_reached: bool | None
    remark: str = ""

    def cells(self) -> list[str]:
        verdict = {True: "reached", False: "not reached", None: "reported"}[self.is_reached]
        return [self.what, self.ours, self.yardstick, f"{self.ratio:.2f}", self.target, verdict, self.remark]


@dataclass(frozen=True)
class Round:
    """One round of load on one server."""

    load: Load
    web_us: float  # processor time of the web processes for each answer
    database_us: float


@dataclass
class HttpRow:
    """What one side of an HTTP workload did: medians over the rounds."""

    what: str
    side: str
    per_second: float
    p50_ms: float
    p95_ms: float
    web_us: float
    database_us: float
    answers: int
    rounds: int

    def cells(self) -> list[str]:
        figures = (self.per_second, self.p50_ms, self.p95_ms, self.web_us, self.database_us)
        return [self.what, self.side, *(f"{value:,.1f}" for value in figures), f"{self.answers}"]


@dataclass
class Table:
    rows: list[Row] = field(default_factory=list)
    http: list[HttpRow] = field(default_factory=list)

    def at_least(
        self, what: str, ours: float, yardstick: float, least: float, unit: str, remark: str = ""
    ) -> None:
        reached = ours / yardstick >= least
        self._add(what, ours, yardstick, f">= {least}", reached, unit, remark)

    def at_most(
        self, what: str, ours: float, yardstick: float, most: float, unit: str, remark: str = ""
    ) -> None:
        reached = ours / yardstick <= most
        self._add(what, ours, yardstick, f"<= {most}", reached, unit, remark)

    def report(self, what: str, ours: float, yardstick: float, unit: str, remark: str = "") -> None:
        """A ratio that nothing is promised about."""
        self._add(what, ours, yardstick, "", None, unit, remark)

    def _add(
        self,
        what: str,
        ours: float,
        yardstick: float,
        target: str,
        reached: bool | None,
        unit: str,
        remark: str,
    ) -> None:
        mine, other = (f"{value:,.{_decimals(value)}f} {unit}" for value in (ours, yardstick))
        self.rows.append(Row(what, mine, other, ours / yardstick, target, reached, remark))
        print("  ".join(self.rows[-1].cells()), flush=True)

    def http_rows(self, what: str, results: dict[str, list[Round]]) -> dict[str, HttpRow]:
        """Keep the medians of each side; gives them by side."""
        rows = {side: _medians(what, side, rounds) for side, rounds in results.items()}
        self.http += rows.values()
        for row in rows.values():
            print("  " + "  ".join(row.cells()), flush=True)
        return rows

    def report_cpu(self, what: str, ours: HttpRow, yardstick: HttpRow) -> None:
        """What one answer costs on both sides, web and database together: steady where rates are not."""
        mine, other = (side.web_us + side.database_us for side in (ours, yardstick))
        self.report(f"{what}: CPU of an answer", mine, other, "us")

    def markdown(self) -> str:
        ratios = ["what", "ours", "yardstick", "ratio", "target", "verdict", "remark"]
        http = ["workload", "side", "answers/s", "p50 ms", "p95 ms", "web CPU us/answer",
                "PostgreSQL CPU us/answer", "answers"]  # fmt: skip
        return (
            _lines(ratios, self.rows)
            + "\nThe HTTP workloads, medians over the rounds:\n\n"
            + _lines(http, self.http)
        )

    def json(self) -> dict[str, list[dict[str, object]]]:
        return {"rows": [asdict(row) for row in self.rows], "http": [asdict(row) for row in self.http]}


def _decimals(value: float) -> int:
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3


def _lines(head: list[str], rows: list[Row] | list[HttpRow]) -> str:
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _medians(what: str, side: str, rounds: list[Round]) -> HttpRow:
    def median(read: Callable[[Round], float]) -> float:
        return statistics.median(read(one) for one in rounds)

    return HttpRow(
        what,
        side,
        round(median(lambda r: r.load.per_second), 1),
        round(median(lambda r: r.load.percentile(0.5)), 2),
        round(median(lambda r: r.load.percentile(0.95)), 2),
        round(median(lambda r: r.web_us)),
        round(median(lambda r: r.database_us)),
        sum(len(r.load.latencies) for r in rounds),
        len(rounds),
    )


@dataclass(frozen=True)
class Side:
    """One of those that are run in turn."""

    server: Server
    run: Callable[[float], Load]  # takes seconds


def in_turn(
    sides: dict[str, Side],
    rounds: int,
    seconds: float,
    postmaster: int,
    settle: Callable[[], None] = lambda: None,
) -> dict[str, list[Round]]:
    """Warm each up, settle, then run all of them in turn; raises when more than 1 % of the answers were not expected."""
    for name, side in sides.items():
        _check(name, side.run(min(seconds, 2.0)))
    settle()
    results: dict[str, list[Round]] = {name: [] for name in sides}
    for number in range(rounds):
        # Every other round begins with the other one, so that nobody always follows the same neighbour.
        for name in list(sides)[:: -1 if number % 2 else 1]:
            results[name].append(_metered(name, sides[name], seconds, postmaster))
    return results


def _metered(name: str, side: Side, seconds: float, postmaster: int) -> Round:
    web, database = of_group(side.server.group), of_children(postmaster)
    web_before, database_before = web(), database()
    load = side.run(seconds)
    web_s, database_s = spent(web_before, web()), spent(database_before, database())
    _check(name, load)
    answers = len(load.latencies)
    return Round(load, web_s / answers * 1e6, database_s / answers * 1e6)


def _check(name: str, load: Load) -> None:
    if not load.latencies or sum(load.unexpected.values()) > len(load.latencies) // 100:
        raise RuntimeError(f"{name}: unexpected answers {load.unexpected}: {load.example!r}")
