"""The page of faults and the tests that show it agree."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.faults.table import Line, promises, rows_of

HERE = Path(__file__).parent


def shown_here() -> set[str]:
    """The numbers that tests of this folder name."""
    found: set[str] = set()
    for path in HERE.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.proves":
                found |= {str(given.value) for given in node.args if isinstance(given, ast.Constant)}
    return found & set(promises())


def test_the_page_has_all_36_with_a_promise() -> None:
    assert list(promises()) == [f"F{n}" for n in range(1, 37)]
    assert all(promises().values())


def test_each_number_is_tested_here_and_the_page_says_how() -> None:
    told = {number for number, how in rows_of().items() if how}
    assert told == shown_here() == set(promises())


def test_a_number_is_kept_only_when_something_ran_and_nothing_failed() -> None:
    line = Line("F1", "a promise")
    assert line.result == "not run"
    line.skipped.append("no root")
    assert line.result == "not here"
    line.rounds = 3
    assert line.result == "kept, in part"
    line.failed.append("test")
    assert line.result == "BROKEN"
