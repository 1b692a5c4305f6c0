"""One stage for all that need one: made at first use, at rest between tests, made anew after a test that failed.

At the end of `make faults` stands the table of what was proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.faults.stage import Stage
from tests.faults.table import DONE, PROVES, print_table

_kept: list[Stage] = []


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Everything runs when the test begins. What it breaks is mended afterwards; a failed test's stage is thrown away."""
    if not _kept:
        _kept.append(Stage())
        try:
            _kept[0].start()
        except BaseException:
            _throw_away()
            raise
    else:
        _kept[0].revive()
    failed_before = request.session.testsfailed
    yield _kept[0]
    if request.session.testsfailed > failed_before or hasattr(request.node, "fault_failed"):
        _throw_away()


@pytest.fixture
def fault(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Say what was done, and how often, for the table; the test's name stands there otherwise."""

    def tell(did: str, rounds: int = 1) -> None:
        record_property(DONE, (did, rounds))

    return tell


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    numbers = [number for mark in item.iter_markers("proves") for number in mark.args]
    report.user_properties.append((PROVES, (item.name, numbers)))
    if report.failed:
        item.fault_failed = True  # type: ignore[attr-defined]
        if _kept:
            kept = _kept[0].keep_logs(item.name)
            report.sections.append(("logs of the stage", str(kept)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if "faults" in config.option.markexpr.replace("not faults", "", 1):
        print_table(terminalreporter)


def pytest_sessionfinish() -> None:
    _throw_away()


def _throw_away() -> None:
    while _kept:
        _kept.pop().stop()
