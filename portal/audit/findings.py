"""What a proof has found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken promise and the first rows that break it."""

    check: str
    count: int
    examples: tuple[str, ...]
