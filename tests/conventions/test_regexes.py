"""Every regular expression of the house takes time that grows with its text, not with the square of it.

Python's `re` holds the interpreter while it searches: one text that makes it go back and forth stops all threads.
Hostile texts are made from each pattern: its pieces, alone and in pairs, over and over, after what may stand before
them and before what cannot follow.
"""

from __future__ import annotations

import ast
import importlib
import re
import time
from collections.abc import Iterator
from functools import cache
from itertools import chain, groupby, product
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# What a file with a pattern has in it; the others need no parsing.
_SIGNS = re.compile(r"\bre\.|\bRegexp\(|\b(?:pattern|regex)=")
_CALLS = {"compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
_LARGEST = 16 * 1024
_WORTH_A_LOOK_S = 0.0015
_MOST_PIECES = 5
_ENDS = ("", "\n\x00")

Compiled = re.Pattern[str] | re.Pattern[bytes]


# --- which there are ------------------------------------------------------------------------------


def found_in(path: Path) -> Iterator[tuple[str, Compiled]]:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    text = path.read_text(encoding="utf-8")
    if not _SIGNS.search(text):
        return
    tree = ast.parse(text)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    wanted = [(call, argument) for call in calls for argument in pattern_arguments(call)]
    if not wanted:
        return
    space = vars(importlib.import_module(name))
    for call, argument in wanted:
        for number, pattern in enumerate(patterns_of(tree, call, argument, space)):
            yield f"{name}:{call.lineno}:{number}", pattern


def pattern_arguments(call: ast.Call) -> Iterator[ast.expr]:
    """`re.sub("..")`, WTForms' `Regexp("..")`, pydantic's `pattern=".."`."""
    what = call.func
    if isinstance(what, ast.Attribute) and isinstance(what.value, ast.Name) and what.value.id == "re":
        if what.attr in _CALLS:
            yield call.args[0]
    elif isinstance(what, ast.Name) and what.id == "Regexp":
        yield call.args[0]
    yield from (word.value for word in call.keywords if word.arg in {"pattern", "regex"})


def patterns_of(
    tree: ast.Module, call: ast.Call, argument: ast.expr, space: dict[str, Any]
) -> list[Compiled]:
    """The argument as its module reads it; where it is a variable of a loop or a function, what came of it."""
    try:
        value = eval(compile(ast.Expression(argument), "pattern", "eval"), space)
    except NameError:
        statement = next(one for one in tree.body if any(node is call for node in ast.walk(one)))
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        value = space[target.id] if isinstance(target, ast.Name) else ()
        return [one for one in value if isinstance(one, re.Pattern)]
    flags = 0
    if len(call.args) > 1 and isinstance(call.func, ast.Attribute) and call.func.attr == "compile":
        flags = eval(compile(ast.Expression(call.args[1]), "flags", "eval"), space)
    return [re.compile(value, flags)] if isinstance(value, str | bytes) else []


@cache
def every_pattern() -> dict[str, Compiled]:
    return dict(chain.from_iterable(found_in(path) for path in sorted((ROOT / "portal").rglob("*.py"))))


# --- hostile texts --------------------------------------------------------------------------------


def texts_for(pattern: Compiled) -> list[str]:
    """Pieces that are repeated, each with what stands before it."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = _parser.parse(source, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else 0)
    return list(dict.fromkeys(piece for piece in chain(prefixes(tree), atoms(tree)) if piece))


def prefixes(tree: Any) -> Iterator[str]:
    """The beginning of a match, up to the end of each run of literals and each other item."""
    text = ""
    for _is_literal, run in groupby(tree, lambda item: item[0] is _constants.LITERAL):
        text += "".join(map(sample, run))
        yield text


def atoms(tree: Any) -> Iterator[str]:
    """Each smallest piece: a run of literals, all that a class takes and one of it, an alternative."""
    for is_literal, run in groupby(tree, lambda item: item[0] is _constants.LITERAL):
        items = list(run)
        if is_literal:
            yield "".join(map(sample, items))
            continue
        for operator, value in items:
            yield sample((operator, value))
            if operator is _constants.IN:
                yield "".join(members(value))
            for inner in inside(operator, value):
                yield from prefixes(inner)
                yield from atoms(inner)


def inside(operator: Any, value: Any) -> list[Any]:
    if operator is _constants.BRANCH:
        return list(value[1])
    if operator in _REPEATS:
        return [value[2]]
    if operator is _constants.SUBPATTERN:
        return [value[3]]
    if operator is _constants.ATOMIC_GROUP:
        return [value]
    if operator in {_constants.ASSERT, _constants.ASSERT_NOT}:
        return [value[1]]
    return []


def sample(item: Any) -> str:
    """A short text that the item matches."""
    operator, value = item
    if operator is _constants.IN:
        return members(value)[0]
    if operator in _ONE:
        return _ONE[operator](value)
    inner = inside(operator, value)
    if not inner or operator is _constants.ASSERT_NOT or (operator is _constants.ASSERT and value[0] > 0):
        return ""
    times = min(max(1, value[0]), 64) if operator in _REPEATS else 1
    return "".join(sample(one) for one in inner[0]) * times


_ONE = {
    _constants.LITERAL: chr,
    _constants.NOT_LITERAL: lambda value: "b" if value == ord("a") else "a",
    _constants.ANY: lambda _value: "a",
}
_REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}
_CATEGORIES = {
    _constants.CATEGORY_DIGIT: "1", _constants.CATEGORY_WORD: "a", _constants.CATEGORY_SPACE: " ",
    _constants.CATEGORY_NOT_DIGIT: "a", _constants.CATEGORY_NOT_WORD: "-", _constants.CATEGORY_NOT_SPACE: "a",
}  # fmt: skip


def members(parts: list[Any]) -> list[str]:
    """One of each kind that a class takes, the first of them for short."""
    if parts[0][0] is _constants.NEGATE:
        taken = re.compile("[" + "".join(re.escape(one) for one in members(parts[1:])) + "]")
        return [one for one in "a1-: /." if not taken.match(one)] or ["~"]
    found = []
    for operator, value in parts:
        if operator is _constants.LITERAL:
            found.append(chr(value))
        elif operator is _constants.RANGE:
            found.append(chr(value[0]))
        elif operator is _constants.CATEGORY:
            found.append(_CATEGORIES[value])
    return found


def hostile(pattern: Compiled) -> Iterator[tuple[str, str, str]]:
    """Beginning, what is repeated, end."""
    pieces = texts_for(pattern) or ["a"]
    few = sorted(pieces, key=len)[:_MOST_PIECES]
    repeated = dict.fromkeys([*pieces, *(one + other for one, other in product(few, few))])
    starts = dict.fromkeys(["", pieces[0], max(pieces, key=len)])
    yield from product(starts, repeated, _ENDS)


# --- how long they take ---------------------------------------------------------------------------


def spent(pattern: Compiled, shape: tuple[str, str, str], size: int, rounds: int = 1) -> float:
    """Seconds of the processor that going through such a text takes, at best."""
    start, piece, end = shape
    text = start + piece * (size // len(piece)) + end
    given: Any = text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")
    best = float("inf")
    for _ in range(rounds):
        before = time.thread_time()
        for _match in pattern.finditer(given):
            pass
        pattern.fullmatch(given)
        best = min(best, time.thread_time() - before)
    return best


def grows_too_fast(pattern: Compiled, shape: tuple[str, str, str]) -> bool:
    """Twice the text takes more than three times as long, twice in a row. What is quick at 16 KB can't be square."""
    size = 64
    while spent(pattern, shape, size) < _WORTH_A_LOOK_S:
        size *= 4
        if size > _LARGEST:
            return False
    if spent(pattern, shape, 2 * size) <= 3 * spent(pattern, shape, size):
        return False
    quarter, half, whole = (spent(pattern, shape, size * times, rounds=3) for times in (1, 2, 4))
    return half > 3 * quarter and whole > 3 * half


def test_the_texts_find_what_is_known_to_be_slow() -> None:
    """What the house once had, and the usual ways to go wrong."""
    slow = [
        r"(?i)(?P<name>\b[\w-]*(?:passw|secret|token)[\w-]*[\"']?\s*[:=]\s*)(?P<value>[^\s,;&}\])]+)",
        r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*",
        r"(?<=://)[^\s/@]*:[^\s/@]*(?=@)",
        r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+",
        r"\[parameters: .*\]",
        rb"(?s)/ObjStm.{0,300}?stream\r?\n(.*?)endstream",
    ]
    missed = [
        one
        for one in slow
        if not any(grows_too_fast(re.compile(one), shape) for shape in hostile(re.compile(one)))
    ]
    assert missed == []


@pytest.mark.proves("tried S1")
@pytest.mark.parametrize(("place", "pattern"), every_pattern().items(), ids=every_pattern().keys())
def test_no_pattern_takes_more_than_its_text_is_long(place: str, pattern: Compiled) -> None:
    assert [shape for shape in hostile(pattern) if grows_too_fast(pattern, shape)][:3] == []


def test_every_place_with_a_pattern_is_looked_at() -> None:
    """Nothing is compiled from what this test could not read, but where a reason is given."""
    read = {place.rsplit(":", 1)[0] for place in every_pattern()}
    unread = []
    for path in sorted((ROOT / "portal").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and list(pattern_arguments(node)):
                place = f"{name}:{node.lineno}"
                if place not in read and name not in _OUR_OWN:
                    unread.append(place)
    assert unread == []


# Patterns that are made while the house runs, of what its operator has said.
_OUR_OWN = {"portal.web.dev.mailbox": "the address of this house, quoted, and what follows it up to a space"}
