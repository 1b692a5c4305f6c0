"""`make styles`: of the framework's style sheet what our pages use -> static/vendor/, which pages load."""

from __future__ import annotations

from pathlib import Path

from styles.shrinking import shrunk
from styles.words import words_of

ROOT = Path(__file__).resolve().parent.parent
NAME = "tabler-1.6.1"
SOURCE = ROOT / "styles" / f"{NAME}.min.css"
SHIPPED = ROOT / "static" / "vendor" / f"{NAME}.used.css"


def used() -> str:
    """The used part, as it has to be shipped."""
    return shrunk(SOURCE.read_text(encoding="utf-8"), words_of(ROOT))


def main() -> None:
    SHIPPED.write_text(used(), encoding="utf-8")


if __name__ == "__main__":
    main()
