"""What people read of an enum stands once, in `portal/web/labels/`, and for every member."""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask
from jinja2 import Environment, nodes

import portal
from portal.web import labels
from portal.web.labels.refused_files import CUSTOMERS_FILE, FILE

ROOT = Path(__file__).parents[2]
SAYING = {"_", "_l", "gettext", "lazy_gettext", "ngettext"}
# A second table of an enum: for whom or about what it is.
AUDIENCES = {
    "TO_A_LATE_TRADER": "half a sentence, seen by a trader who came too late",
    "GIVEN": "a choice beside others, not a state",
    "TRADERS_ACCOUNT": "traders have three kinds of accounts, and hold fiat themselves",
    "SENTENCES": "what has happened, with its figures; CHOICE is what one wants to be told",
    "LEAD": "a lead is online by their traders; a second factor is asked of each person by name",
    "DECISION": "what a decider chooses says what it follows from",
    "MODE_IN_A_LINE": "no capital in the midst of a line",
}
# A table that lacks members, and why.
LACKING = {
    "TRADERS_ACCOUNT": "the others are the house's",
    "LEAD": "nobody asks for leads without a second factor",
    "VERDICT": "of what fits there is nothing to say",
}
# Words of an enum that stand elsewhere, and why.
ELSEWHERE = {
    "portal/core/permissions.py": "a permission is its sentence: the API and the console tell it too",
    "templates/emails/security_changed.txt": "a letter's words stand in its template",
}


def tables() -> Iterator[tuple[str, str, type[enum.StrEnum], Mapping[object, object]]]:
    """Every table of labels by an enum: module, name, the enum and the table."""
    for found in pkgutil.iter_modules(labels.__path__):
        module = importlib.import_module(f"portal.web.labels.{found.name}")
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, Mapping):
                kinds = {type(key) for key in value if isinstance(key, enum.Enum)}
                if len(kinds) == 1 and f"\n{name}" in inspect.getsource(module):
                    yield found.name, name, kinds.pop(), value


def test_every_member_of_an_enum_that_people_read_has_words() -> None:
    lacking = {
        f"{name}: {member}"
        for _module, name, kind, table in tables()
        if name not in LACKING
        for member in kind
        if member not in table
    }
    assert lacking == set()


def test_an_enum_is_told_once_to_an_audience() -> None:
    told: dict[type[enum.StrEnum], list[str]] = {}
    for _module, name, kind, _table in tables():
        told.setdefault(kind, []).append(name)
    assert len(told) > 15
    twice = {kind.__name__: names for kind, names in told.items() if len(set(names) - AUDIENCES.keys()) > 1}
    assert twice == {}
    assert {name for _module, name, _kind, _table in tables()} >= {*AUDIENCES, *LACKING}


def says(node: ast.AST) -> bool:
    return any(
        isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in SAYING
        for part in ast.walk(node)
    )


def enums() -> set[type[enum.StrEnum]]:
    """What the house knows by a list of names."""
    for found in pkgutil.walk_packages(portal.__path__, "portal."):
        if not found.name.startswith(("portal.demo", "portal.simulator", "portal.embedded")):
            importlib.import_module(found.name)
    return {
        value
        for name, module in sys.modules.items()
        if name.startswith("portal.")
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, enum.StrEnum) and len(value) > 1
    }


@pytest.fixture(scope="module")
def known() -> list[set[str]]:
    return [{member.value for member in kind} for kind in enums()]


def values_of(keys: list[ast.expr], module: ModuleType) -> set[str] | None:
    """What the keys are, where all are members of enums or texts."""
    found = set()
    for key in keys:
        text = ast.unparse(key).removesuffix(".value")
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found.add(key.value)
        elif (
            member := getattr(vars(module).get(text.partition(".")[0]), text.partition(".")[2], None)
        ) is None or not isinstance(member, enum.StrEnum):
            return None
        else:
            found.add(member.value)
    return found


def keyed(tree: ast.Module) -> Iterator[list[ast.expr]]:
    """The keys of every table of words: a dict, or pairs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and sum(says(value) for value in node.values) > 1:
            yield [key for key in node.keys if key is not None]
        elif isinstance(node, ast.Tuple | ast.List):
            pairs = [one for one in node.elts if isinstance(one, ast.Tuple) and len(one.elts) == 2]
            if len(pairs) == len(node.elts) > 1 and all(says(pair.elts[1]) for pair in pairs):
                yield [pair.elts[0] for pair in pairs]


def test_words_of_an_enum_stand_nowhere_else_in_the_code(app: Flask, known: list[set[str]]) -> None:
    strays = []
    for name, module in list(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "/")
        if name.startswith("portal.") and path.is_relative_to(ROOT) and "labels" not in path.parts:
            for keys in keyed(ast.parse(path.read_text(encoding="utf-8"))):
                told = values_of(keys, module)
                if told and len(told) > 1 and any(told <= values for values in known):
                    strays.append((str(path.relative_to(ROOT)), sorted(told)))
    assert [stray for stray in strays if stray[0] not in ELSEWHERE] == []


def test_words_of_an_enum_stand_in_no_template(app: Flask, known: list[set[str]]) -> None:
    strays = []
    environment = Environment(extensions=["jinja2.ext.do"], autoescape=True)
    for path in sorted((ROOT / "templates").rglob("*.*")):
        for table in environment.parse(path.read_text(encoding="utf-8")).find_all(nodes.Dict):
            told = {pair.key.value for pair in table.items if isinstance(pair.key, nodes.Const)}
            spoken = [call for call in table.find_all(nodes.Call) if getattr(call.node, "name", "") in SAYING]
            if len(told) > 1 and spoken and any(told <= values for values in known):
                strays.append((str(path.relative_to(ROOT)), sorted(told)))
    assert [stray for stray in strays if stray[0] not in ELSEWHERE] == []


def test_a_refused_file_is_told_to_everybody(app: Flask) -> None:
    assert FILE.keys() == CUSTOMERS_FILE.keys()
