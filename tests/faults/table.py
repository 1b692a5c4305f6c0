"""The table of `make faults`: each number of docs/faults.md, what was done about it, and what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"
DONE, PROVES = "fault done", "fault proves"
_ROW = re.compile(r"^\| (F\d+) \| ([^|]+) \| ([^|]+) \| ([^|]*) \|$", re.MULTILINE)


@dataclass
class Line:
    """What the tests of one number came to."""

    number: str
    promise: str
    did: list[str] = field(default_factory=list)
    rounds: int = 0
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def result(self) -> str:
        if self.failed:
            return "BROKEN"
        if self.rounds:
            return "kept, in part" if self.skipped else "kept"
        return "not here" if self.skipped else "not run"


def promises() -> dict[str, str]:
    """Number and promise of each row of the document."""
    return {row[1]: row[3].strip() for row in _ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))}


def rows_of() -> dict[str, str]:
    """Number of each row, and how the document says that it is tested."""
    return {row[1]: row[4].strip() for row in _ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))}


def lines_of(reports: list[pytest.TestReport]) -> list[Line]:
    """One for each number, in order."""
    lines = {number: Line(number, promise) for number, promise in promises().items()}
    for report in reports:
        told: dict[str, Any] = dict(report.user_properties)
        name, numbers = told.get(PROVES, ("", []))
        for line in (lines[number] for number in numbers if number in lines):
            line.seconds += report.duration
            if report.failed:
                line.failed.append(name)
            elif report.skipped:
                line.skipped.append(_reason(report))
            elif report.when == "call":
                did, rounds = told.get(DONE, (_words_of(name), 1))
                line.did += [did] if did not in line.did else []
                line.rounds += rounds
    return list(lines.values())


def _words_of(test: str) -> str:
    """A test's name as the sentence that it is, without its parameters."""
    return test.partition("[")[0].removeprefix("test_").replace("_", " ")


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)


def print_table(terminal: pytest.TerminalReporter) -> None:
    reports = [
        report for kind in ("passed", "failed", "error", "skipped") for report in terminal.stats.get(kind, [])
    ]
    terminal.section("faults")
    for line in lines_of([report for report in reports if isinstance(report, pytest.TestReport)]):
        terminal.write_line(
            f"{line.number:4} {line.result:13} {line.rounds:3} rounds {line.seconds:5.0f} s  {line.promise}",
            red=bool(line.failed),
        )
        for what in [
            *line.did,
            *(f"BROKEN: {name}" for name in line.failed),
            *(f"not here: {why}" for why in line.skipped),
        ]:
            terminal.write_line(f"{'':36}{what}")
