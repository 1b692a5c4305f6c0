"""Exporting the head of the chain: whoever holds it can tell when anything before it was changed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from portal.core.db import hot

FILE = "audit-heads.jsonl"
_HEAD = "SELECT sequence, hash FROM audit_seal ORDER BY sequence DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of the chain at some moment."""

    sequence: int
    hash: bytes

    def line(self, at: datetime) -> str:
        return json.dumps({"at": at.isoformat(), "sequence": self.sequence, "hash": self.hash.hex()})


class UnreadableHeads(Exception):
    """The file of exported heads can't be read; its words say which line."""


def find_head() -> Head | None:
    """The last link; None while nothing is sealed."""
    rows = hot(_HEAD)
    return Head(int(rows[0]["sequence"]), bytes(rows[0]["hash"])) if rows else None


def export_head(folder: Path) -> Head | None:
    """Add the head to the folder's file unless it stands there already; returns it if it was added.

    The line is on the disk when this returns. Raises OSError, UnreadableHeads.
    """
    head = find_head()
    if head is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    known = read_heads(folder / FILE)
    if known and known[-1].sequence >= head.sequence:
        return None
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(head.line(datetime.now(UTC)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return head


def read_heads(path: Path) -> Sequence[Head]:
    """The heads of a file, oldest first; none when there is no file. Raises UnreadableHeads."""
    if not path.exists():
        return []
    heads = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            read = json.loads(line)
            heads.append(Head(int(read["sequence"]), bytes.fromhex(read["hash"])))
        except (ValueError, KeyError, TypeError):
            raise UnreadableHeads(f"{path}: line {number} is not a head") from None
    return heads
