"""Exporting the heads of the chains: whoever holds them can tell when anything before them was changed or cut off."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from portal.core.db import hot
from portal.settings import get_settings

FILE = "audit-heads.jsonl"
# The audit log's own chain, which has no key; the others are named in portal.audit.chains.
LOG = "log"
_HEAD = "SELECT sequence, hash FROM audit_seal ORDER BY sequence DESC LIMIT 1"
_KEYED = """
SELECT DISTINCT ON (chain) chain, sequence, mac AS hash FROM chain_link ORDER BY chain, sequence DESC
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a chain at some moment; `at` is when it was exported."""

    sequence: int
    hash: bytes
    chain: str = LOG
    at: datetime | None = field(default=None, compare=False)

    def line(self, at: datetime) -> str:
        named = {} if self.chain == LOG else {"chain": self.chain}
        return json.dumps({"at": at.isoformat(), **named, "sequence": self.sequence, "hash": self.hash.hex()})


class UnreadableHeads(Exception):
    """The file of exported heads can't be read; its words say which line."""


def find_head() -> Head | None:
    """The last link of the audit log's own chain; None while nothing is sealed."""
    rows = hot(_HEAD)
    return Head(int(rows[0]["sequence"]), bytes(rows[0]["hash"])) if rows else None


def find_heads() -> list[Head]:
    """The last link of every chain that has one."""
    log = find_head()
    keyed = [Head(int(row["sequence"]), bytes(row["hash"]), str(row["chain"])) for row in hot(_KEYED)]
    return [log, *keyed] if log else keyed


def export_heads(folder: Path) -> list[Head]:
    """Add the heads to the folder's file unless they stand there already; returns those that were added.

    The lines are on the disk when this returns. Raises OSError, UnreadableHeads.
    """
    heads = find_heads()
    folder.mkdir(parents=True, exist_ok=True)
    known = {head.chain: head.sequence for head in read_heads(folder / FILE)}
    new = [head for head in heads if known.get(head.chain, 0) < head.sequence]
    if new:
        at = datetime.now(UTC)
        with (folder / FILE).open("a", encoding="utf-8") as file:
            file.writelines(head.line(at) + "\n" for head in new)
            file.flush()
            os.fsync(file.fileno())
    return new


def read_heads(path: Path) -> Sequence[Head]:
    """The heads of a file, oldest first; none when there is no file. Raises UnreadableHeads."""
    if not path.exists():
        return []
    heads = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            heads.append(_head(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            raise UnreadableHeads(f"{path}: line {number} is not a head") from None
    return heads


def _head(read: dict[str, Any]) -> Head:
    at = datetime.fromisoformat(read["at"]) if "at" in read else None
    return Head(int(read["sequence"]), bytes.fromhex(read["hash"]), str(read.get("chain", LOG)), at)


def exported_heads() -> Sequence[Head]:
    """The heads in AUDIT_HEADS_DIR; none without it. Raises OSError, UnreadableHeads."""
    folder = get_settings().audit_heads_dir
    return read_heads(folder / FILE) if folder else []
