"""Vendored files are what their README says they are."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from styles.__main__ import SHIPPED

FOLDER = Path(__file__).parents[2] / "static" / "vendor"
ROW = re.compile(r"^\| `([^`]+)` \|.*\[([^\]]+)\].*`([0-9a-f]{64})` \|$", re.MULTILINE)


def test_every_vendored_file_has_its_sum_and_its_licence() -> None:
    rows = ROW.findall((FOLDER / "README.md").read_text(encoding="utf-8"))
    listed = {name for name, _, _ in rows} | {licence for _, licence, _ in rows}
    for name, licence, expected in rows:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == expected, name
        assert (FOLDER / licence).read_text(encoding="utf-8").strip(), licence
    present = {path.name for path in FOLDER.iterdir()} - {"README.md", SHIPPED.name}
    assert present <= listed
