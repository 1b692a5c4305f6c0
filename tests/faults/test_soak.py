"""What `make soak` says and returns; the stage is left out, since what it shows has tests of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults import soak
from tests.faults.soak import FAULTS, LAST_OPERATIONS, Nemesis


class Place:
    """A stage that comes to rest once, and is found broken the next time."""

    def __init__(self, *, breaks: bool) -> None:
        self.actors: dict[str, Any] = {}
        self._rests = iter([False, breaks])

    def __getattr__(self, _name: str) -> Callable[..., Any]:
        return lambda *_given, **_named: None

    def environment(self) -> dict[str, str]:
        return {}

    def keep_logs(self, name: str) -> Path:
        return Path(name)

    @contextmanager
    def load(self, *_given: object, **_named: object) -> Iterator[Any]:
        yield SimpleNamespace(created=3, told=list)

    def quiesce(self) -> float:
        assert not next(self._rests), "M1 every entry sums to zero: 1 x, entry 7"
        return 1.0


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Time passes without anybody waiting for it."""
    now = iter(float(n) for n in range(10**6))
    monkeypatch.setattr(
        soak, "time", SimpleNamespace(sleep=lambda _s: None, monotonic=lambda: next(now), strftime=str)
    )
    for name, (weight, _act) in FAULTS.items():
        monkeypatch.setitem(FAULTS, name, (weight, lambda _nemesis: None))
    return monkeypatch


def test_what_is_broken_ends_it_with_the_seed_and_the_last_operations(
    hurried: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hurried.setattr(soak, "Stage", lambda: Place(breaks=True))
    assert soak.soak(5, 77, 60) == 1
    said = capsys.readouterr().out
    assert "BROKEN, with SEED=77:\nM1 every entry sums to zero: 1 x, entry 7" in said
    last = said.partition("The last operations:\n")[2].splitlines()
    assert len(last) == LAST_OPERATIONS
    assert any(line.endswith("FLUSHALL") for line in last)


def test_what_holds_ends_it_with_the_table(
    hurried: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hurried.setattr(soak, "Stage", lambda: Place(breaks=False))
    assert soak.soak(1, 77, 60) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in FAULTS)
    assert "BROKEN" not in said


def test_the_same_seed_draws_the_same_faults(hurried: pytest.MonkeyPatch) -> None:
    def drawn(seed: int) -> list[str]:
        nemesis = Nemesis(Place(breaks=False), Random(seed))  # type: ignore[arg-type]
        for _ in range(30):
            nemesis.strike()
        return [line.split(" ", 1)[1] for line in nemesis.operations]

    assert drawn(7) == drawn(7) != drawn(8)
