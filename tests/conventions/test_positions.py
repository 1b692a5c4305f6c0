"""Where a list goes on is read in one place (`portal/core/cursors.py`): a second reader would refuse other things."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORTAL = ROOT / "portal"
HOME = PORTAL / "core" / "cursors.py"
# What is base64 and no cursor: secrets, signatures, digests.
NO_CURSORS = {
    "portal/core/crypto.py",
    "portal/identity/proofs/recovery_codes.py",
    "portal/web/pay/guard.py",
    "portal/webhooks/signing.py",
}
# The names under which a place in a list comes in an address. Whoever names them hands them to portal.core.cursors.
ASKED_BY = {"portal/web/ui/lists/address.py", "portal/web/ui/lists/place.py"}
NAMES = {"after", "before", "cursor"}


def breaches_of(name: str, source: str) -> Iterator[str]:
    """Where this file reads a position by itself."""
    for node in ast.walk(ast.parse(source)):
        if name not in NO_CURSORS and _imports(node) & {"base64", "binascii"}:
            yield f"{name}:{node.lineno} takes base64 apart: use portal.core.cursors"  # type: ignore[attr-defined]
        elif _takes_apart(node):
            yield f"{name}:{node.lineno} takes a position apart: use id_in and its like of portal.core.cursors"  # type: ignore[attr-defined]
        elif name not in ASKED_BY and _asks_the_address(node):
            yield f"{name}:{node.lineno} reads a place from the address: use a Listing, or list_place.id_after"  # type: ignore[attr-defined]


def _imports(node: ast.AST) -> set[str | None]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module} if isinstance(node, ast.ImportFrom) else set()


def _takes_apart(node: ast.AST) -> bool:
    """`asked.after[0]`, or `name, key = asked.after`."""
    is_unpacked = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)
    if not (is_unpacked or isinstance(node, ast.Subscript)):
        return False
    return ast.unparse(node.value) == "asked.after"  # type: ignore[attr-defined]


def _asks_the_address(node: ast.AST) -> bool:
    """`request.args.get("after")` or `request.args["after"]`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        asked, key = node.func.value, node.args[0]
    elif isinstance(node, ast.Subscript):
        asked, key = node.value, node.slice
    else:
        return False
    is_address = isinstance(asked, ast.Attribute) and asked.attr == "args"
    return is_address and isinstance(key, ast.Constant) and key.value in NAMES


def test_where_a_list_goes_on_is_read_in_one_place() -> None:
    files = {path: str(path.relative_to(ROOT)) for path in sorted(PORTAL.rglob("*.py")) if path != HOME}
    found = [breach for path, name in files.items() for breach in breaches_of(name, path.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import base64",
        "from base64 import urlsafe_b64decode",
        "import binascii",
        "last = uuid.UUID(asked.after[0])",
        "name, key = asked.after",
        'before = parse(request.args.get("before", ""))',
        'last = request.args["after"]',
    ],
)
def test_a_second_reader_is_found(source: str) -> None:
    assert len(list(breaches_of("portal/web/second.py", source))) == 1


def test_no_file_is_excused_for_nothing() -> None:
    for name in NO_CURSORS:
        assert list(breaches_of("portal/web/second.py", (ROOT / name).read_text("utf-8"))), name
