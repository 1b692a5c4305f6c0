"""What README.md and docs name, exists: whoever follows a name finds what it speaks of."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_ENDS = "conf css html in js json md mo png po py sh sql svg toml txt yaml yml"
_IS_FILE = re.compile(rf"[\w<>*-][\w./<>*-]*\.(?:{'|'.join(_ENDS.split())})")
# Made by who runs the house, and no part of it.
_MADE = {"var/demo.json", "var/demo/simulation.json"}


def tree() -> set[str]:
    """Every file and folder, from the top."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = listed.stdout.splitlines()
    return {*files, *(str(folder) for file in files for folder in Path(file).parents)} - {"."}


def named_on(page: Path, tops: set[str]) -> Iterator[str]:
    """The words in backticks that are a file, by how they end, or begin with a folder of the top."""
    for quoted in re.findall(r"`([^`\n]+)`", page.read_text()):
        for word in quoted.split():
            path = word.strip(".,;:()\"'") if not word.startswith(".") else word
            if _IS_FILE.fullmatch(path) or ("/" in path and path.split("/")[0] in tops):
                yield path.rstrip("/")


def test_every_path_that_the_docs_name_exists() -> None:
    """From the top, or its end alone (`labels/filters.py`); `<package>` and `*` stand for any name."""
    paths = tree()
    tops = {path.split("/")[0] for path in paths if "/" in path}
    ends = "\n".join(f"/{path}" for path in sorted(paths))
    missing = []
    for page in PAGES:
        for path in dict.fromkeys(named_on(page, tops)):
            sought = r"[^/\n]*".join(re.escape(piece) for piece in re.split(r"<[^>]*>|\*", path))
            if path not in _MADE and not re.search(rf"/{sought}$", ends, re.MULTILINE):
                missing.append(f"{page.name}: {path}")
    assert missing == []
