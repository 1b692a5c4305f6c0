"""The part of a style sheet that pages can meet.

A rule stays while every class of one of its selectors may be on a page; a custom property while something that stays
looks at it; an animation while something that stays runs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import tinycss2

from styles.words import Words

Node = Any
_VARIABLE = re.compile(r"--[\w-]+")
# In these a class excludes or is one of several: it does not decide.
_NO_CONDITION = {"not", "is", "where", "has"}


def shrunk(source: str, words: Words) -> str:
    """The same style sheet without what no page of these words can meet; the licence's comment stays."""
    licence = re.search(r"/\*!.*?\*/", source, re.DOTALL)
    rules = tinycss2.parse_stylesheet(source, skip_comments=True, skip_whitespace=True)
    kept = list(_met(rules, words))
    variables = _looked_at(kept, words.variables)
    played = _animations_of(kept)
    body = "".join(_written(rule, variables, played) for rule in kept)
    return f'@charset "UTF-8";{licence[0] if licence else ""}\n{body}\n'


def classes_of(source: str) -> set[str]:
    """Every class that a style sheet knows."""
    rules = tinycss2.parse_stylesheet(source, skip_comments=True, skip_whitespace=True)
    return {name for prelude in _preludes(rules) for name in _classes_in(prelude, everywhere=True)}


def _preludes(rules: list[Node]) -> Iterator[list[Node]]:
    for rule in rules:
        if rule.type == "qualified-rule":
            yield rule.prelude
        elif rule.type == "at-rule" and rule.content is not None and not _is_animation(rule):
            yield from _preludes(_inside(rule))


def _inside(rule: Node) -> list[Node]:
    found: list[Node] = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
    return found


def _is_animation(rule: Node) -> bool:
    return bool(rule.lower_at_keyword.endswith("keyframes"))


# --- what can be met: lists of (what stands before, selectors or None, declarations or rules) ------


class _Rule:
    """One that stays: its selectors, and what it says."""

    def __init__(self, head: str, said: list[Node]) -> None:
        self.head, self.said = head, said


class _Group:
    """`@media` and the like, with what stays inside."""

    def __init__(self, head: str, rules: list[Node]) -> None:
        self.head, self.rules = head, rules


class _Raw:
    """An animation, or anything else that is kept as it is written."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text


def _met(rules: list[Node], words: Words) -> Iterator[_Rule | _Group | _Raw]:
    for rule in rules:
        if rule.type == "qualified-rule":
            heads = [one for one in _selectors(rule.prelude) if _can_be_met(one, words)]
            if heads:
                said = tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True)
                yield _Rule(",".join(tinycss2.serialize(one).strip() for one in heads), said)
        elif rule.type == "at-rule" and rule.lower_at_keyword != "charset":
            yield from _met_at(rule, words)


def _met_at(rule: Node, words: Words) -> Iterator[_Group | _Raw]:
    name = tinycss2.serialize(rule.prelude).strip()
    if rule.content is None or _is_animation(rule) or rule.lower_at_keyword in {"property", "font-face"}:
        yield _Raw(name if _is_animation(rule) else "", rule.serialize())
        return
    inside = list(_met(_inside(rule), words))
    if inside:
        yield _Group(f"@{rule.at_keyword} {name}", inside)


def _selectors(prelude: list[Node]) -> Iterator[list[Node]]:
    selector: list[Node] = []
    for node in prelude:
        if node.type == "literal" and node.value == ",":
            yield selector
            selector = []
        else:
            selector.append(node)
    yield selector


def _can_be_met(selector: list[Node], words: Words) -> bool:
    return all(words.may_be(name) for name in _classes_in(selector))


def _classes_in(nodes: list[Node], *, everywhere: bool = False) -> Iterator[str]:
    is_class = False
    for node in nodes:
        if is_class and node.type == "ident":
            yield node.value
        is_class = node.type == "literal" and node.value == "."
        if node.type == "function" and (everywhere or node.lower_name not in _NO_CONDITION):
            yield from _classes_in(node.arguments, everywhere=everywhere)


# --- custom properties and animations ------------------------------------------------------------


def _declarations(rules: list[Any]) -> Iterator[Node]:
    for rule in rules:
        if isinstance(rule, _Group):
            yield from _declarations(rule.rules)
        elif isinstance(rule, _Rule):
            yield from (one for one in rule.said if one.type == "declaration")


def _looked_at(rules: list[Any], first: set[str]) -> set[str]:
    """The custom properties that something looks at, and those that these look at."""
    needs: dict[str, set[str]] = {}
    found = set(first)
    for one in _declarations(rules):
        names = set(_VARIABLE.findall(tinycss2.serialize(one.value)))
        if one.name.startswith("--"):
            needs.setdefault(one.name, set()).update(names)
        else:
            found |= names
    for raw in _raws(rules):
        found |= set(_VARIABLE.findall(raw.text))
    waiting = list(found)
    while waiting:
        new = needs.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _raws(rules: list[Any]) -> Iterator[_Raw]:
    for rule in rules:
        if isinstance(rule, _Group):
            yield from _raws(rule.rules)
        elif isinstance(rule, _Raw):
            yield rule


def _animations_of(rules: list[Any]) -> set[str]:
    return {
        token.value
        for one in _declarations(rules)
        if "animation" in one.lower_name or one.name.startswith("--")
        for token in one.value
        if token.type == "ident"
    }


def _written(rule: Any, variables: set[str], played: set[str]) -> str:
    if isinstance(rule, _Raw):
        return rule.text if not rule.name or rule.name in played else ""
    if isinstance(rule, _Group):
        inside = "".join(_written(one, variables, played) for one in rule.rules)
        return f"{rule.head}{{{inside}}}" if inside else ""
    said = [
        f"{one.name}:{tinycss2.serialize(one.value).strip()}{'!important' if one.important else ''}"
        for one in rule.said
        if one.type == "declaration" and (not one.name.startswith("--") or one.name in variables)
    ]
    said += [one.serialize() for one in rule.said if one.type == "error"]
    return f"{rule.head}{{{';'.join(said)}}}" if said else ""
