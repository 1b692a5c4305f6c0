"""Every word of the pages that may be the name of a class: more than there are, never fewer.

Templates and scripts give all their words, Python those of its texts. `btn-{{ kind }}` gives the beginning `btn-`, which
stands for whatever begins so.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_WORD = re.compile(r"[A-Za-z_][\w-]*")
# A name whose end is worked out: before `{{ .. }}`, before `{% .. %}`, before `~` of a template or `${..}` of a script.
_BEGINNING = re.compile(r"([A-Za-z_][\w-]*-)(?=\{\{|\{%|\$\{|[\"']\s*(?:~|\+|%))")
_VARIABLE = re.compile(r"--[\w-]+")


@dataclass
class Words:
    """What was found: whole names, beginnings of names, and custom properties (`--x`)."""

    whole: set[str] = field(default_factory=set)
    beginnings: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)

    def may_be(self, name: str) -> bool:
        return name in self.whole or any(name.startswith(one) for one in self.beginnings)

    def add(self, text: str) -> None:
        self.whole |= set(_WORD.findall(text))
        self.beginnings |= set(_BEGINNING.findall(text))
        self.variables |= set(_VARIABLE.findall(text))


def words_of(root: Path) -> Words:
    """The words of this house: its templates, its scripts and those of others, its Python's texts, its own styles'
    custom properties."""
    found = Words()
    for folder, kinds in (("templates", "*.html"), ("static", "*.js")):
        for path in sorted((root / folder).rglob(kinds)):
            found.add(path.read_text(encoding="utf-8"))
    for path in sorted((root / "portal" / "web").rglob("*.py")):
        for text in _texts_of(path):
            found.add(text)
    for path in sorted((root / "static").rglob("*.css")):
        if path.parent.name != "vendor":
            found.variables |= set(_VARIABLE.findall(path.read_text(encoding="utf-8")))
    return found


def _texts_of(path: Path) -> Iterator[str]:
    """Texts of a module, each f-string with `{{` where something is filled in; no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    said = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{{" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts | said:
            yield node.value
