"""Numbers of promises: each that docs/promises.md names is shown by a test, and each marker names one that exists."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "promises.md"
# All numbers that there are; those of the page's tables are looked up there.
LAST = {"F": 36, "attack": 128, "ASVS": 41}
ON_THE_PAGE = {"attack": range(43, 71), "ASVS": range(1, 42)}
# Findings of strangers that have been repaired; each gets its row with its repair.
TRIED = {
    f"tried {kind}{n}"
    for kind, numbers in {
        "S": range(1, 22),
        "U": (1, 2, 4, 5, 6, 7, 8, 11),
        "N": (1, 5, 6, 7, 8, 9, 10, 11, 12),
        "C": range(1, 12),
        "A": (1, 6, 8, 10, 11, 15),
        "M": (5,),
    }.items()
    for n in numbers
}


@cache
def marked() -> dict[str, set[str]]:
    """The files whose tests say that they show a promise, by its number."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.proves":
                for given in node.args:
                    assert isinstance(given, ast.Constant), f"{path}: a promise is named by a plain text"
                    found[str(given.value)].add(str(path.relative_to(TESTS)))
    return found


def rows() -> dict[str, list[str]]:
    """The cells of the page's tables, by the number of their promise."""
    found: dict[str, list[str]] = {}
    kind = ""
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            kind = "ASVS" if "ASVS" in line else "tried" if "strangers" in line else "attack"
        elif re.fullmatch(r"[SUNCAM]?\d+", cells[0]):
            assert f"{kind} {cells[0]}" not in found, f"{kind} {cells[0]} stands there twice"
            found[f"{kind} {cells[0]}"] = cells[1:]
    return found


def test_the_page_has_each_promise_once() -> None:
    expected = {f"{kind} {n}" for kind, numbers in ON_THE_PAGE.items() for n in numbers}
    assert set(rows()) == expected | TRIED


def test_what_is_promised_is_shown_where_the_page_says() -> None:
    wrong = []
    for number, cells in rows().items():
        named = set(re.findall(r"`([^`]+\.py)`", cells[-1]))
        if cells[-2].startswith("Not here:"):
            wrong += [f"{number}: is not here, but {named} shows it"] if named else []
        elif not named:
            wrong.append(f"{number}: nothing shows it")
        wrong += [f"{number}: {file} has no such marker" for file in sorted(named - marked()[number])]
    assert wrong == [], "\n".join(wrong)


def test_a_marker_names_a_promise_that_exists() -> None:
    wrong = []
    for number, files in marked().items():
        if number in TRIED:
            continue
        found = re.fullmatch(r"(F)([1-9]\d*)|(attack|ASVS) ([1-9]\d*)", number)
        kind, value = (found[1] or found[3], int(found[2] or found[4])) if found else ("", 0)
        if kind not in LAST or value > LAST[kind]:
            wrong.append(f"{number}: {', '.join(sorted(files))}")
    assert wrong == [], "\n".join(wrong)
