"""Every action that the code records in the audit log has a sentence, and no sentence is left over."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from portal.identity.letters import Change
from portal.orders.transitions import Step
from portal.traders.kyc_models import Outcome
from portal.web.labels.audit_actions import ACTIONS

ROOT = Path(__file__).parents[2] / "portal"
ENUMS = {"change": Change, "outcome": Outcome, "step": Step}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def values_of(node: ast.expr, tree: ast.Module, inside: Function | None) -> Iterator[str]:
    """Every text that the expression can be: constants, choices, enums, and what callers hand in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from values_of(node.body, tree, inside)
        yield from values_of(node.orelse, tree, inside)
    elif isinstance(node, ast.JoinedStr):
        texts = [""]
        for part in node.values:
            piece = part.value if isinstance(part, ast.FormattedValue) else part
            texts = [text + end for text in texts for end in values_of(piece, tree, inside)]
        yield from texts
    elif isinstance(node, ast.Attribute) and node.attr == "value":
        enum = ENUMS[ast.unparse(node.value).rpartition(".")[2]]
        yield from (member.value for member in enum)
    elif isinstance(node, ast.Subscript):
        yield from _actions_of_table(ast.unparse(node.value), tree)
    elif isinstance(node, ast.Name) and inside is not None:
        yield from _values_of_name(node.id, tree, inside)
    else:
        raise AssertionError(f"cannot tell what {ast.unparse(node)} may be")


def _actions_of_table(name: str, tree: ast.Module) -> Iterator[str]:
    """Every text with a dot in the table of this name."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and "." in part.value:
                    yield part.value


def _values_of_name(name: str, tree: ast.Module, inside: Function) -> Iterator[str]:
    for assigned, value in assignments(inside):
        if assigned == name:
            yield from values_of(value, tree, inside)
            return
    place = [argument.arg for argument in inside.args.args].index(name)
    for call, around in calls(tree):
        if name_of(call) == inside.name:
            yield from values_of(call.args[place], tree, around)


def assignments(inside: Function) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(inside):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            if isinstance(node.value, ast.Subscript) and isinstance(node.value.value, ast.Name):
                # A row of a table of the same module: `became, action = TABLE[key]`.
                yield from ((ast.unparse(target), node.value) for target in node.targets[0].elts)
                continue
            if not isinstance(node.value, ast.Tuple):
                continue
            yield from zip((ast.unparse(t) for t in node.targets[0].elts), node.value.elts, strict=True)


def calls(tree: ast.Module) -> Iterator[tuple[ast.Call, Function | None]]:
    def walk(node: ast.AST, inside: Function | None) -> Iterator[tuple[ast.Call, Function | None]]:
        for child in ast.iter_child_nodes(node):
            around = child if isinstance(child, Function) else inside
            if isinstance(child, ast.Call):
                yield child, inside
            yield from walk(child, around)

    yield from walk(tree, None)


def recorded() -> set[str]:
    found: set[str] = set()
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call, inside in calls(tree):
            if name_of(call) == "record_audit":
                found |= set(values_of(call.args[0], tree, inside))
    return found


def test_every_recorded_action_has_a_sentence() -> None:
    assert sorted(recorded() - ACTIONS.keys()) == []


def test_no_sentence_is_about_what_is_never_recorded() -> None:
    assert sorted(ACTIONS.keys() - recorded()) == []
