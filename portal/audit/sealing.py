"""The one sealer: it chains what was written, in the order in which it finds it.

An entry is sealed after its transaction, so that nobody who does something waits for anybody else's chain.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from portal.core.db import hot

LOCK = 0x6E6F7374_6175646C  # "nostaudl": held by the sealer until its commit
FIRST = b"\0" * 32
FULL = 500

_LOCK = "SELECT pg_try_advisory_xact_lock(%(key)s) AS is_ours"
_HEAD = "SELECT sequence, hash FROM audit_seal ORDER BY sequence DESC LIMIT 1"
# As text where PostgreSQL has more than one way to give a value to a program.
COLUMNS = """e.id, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at, e.actor_kind,
       e.actor_id::text AS actor_id, e.action, e.subject_kind, e.subject_id, e.before, e.after, e.reason,
       host(e.ip) AS ip, e.user_agent, e.request_id, e.session_id::text AS session_id"""
_WAITING = f"""
SELECT {COLUMNS} FROM audit_unsealed u JOIN audit_entry e ON e.id = u.entry_id ORDER BY e.id LIMIT %(limit)s
"""  # noqa: S608 - our own columns
_SEAL = """
WITH sealed AS (
  INSERT INTO audit_seal (sequence, entry_id, previous_hash, hash)
  SELECT * FROM unnest(%(sequences)s::bigint[], %(entries)s::bigint[], %(previous)s::bytea[], %(hashes)s::bytea[])
  RETURNING entry_id
)
DELETE FROM audit_unsealed u USING sealed s WHERE u.entry_id = s.entry_id
"""


def seal_waiting(limit: int = FULL) -> int:
    """Chain up to `limit` entries that wait; returns how many. 0 while another sealer is at it.

    Needs transaction(), in which nothing else was read before: the head must be what the last sealer left.
    """
    if not hot(_LOCK, {"key": LOCK})[0]["is_ours"]:
        return 0
    waiting = hot(_WAITING, {"limit": limit})
    if not waiting:
        return 0
    head = hot(_HEAD)
    sequence, previous = (int(head[0]["sequence"]), bytes(head[0]["hash"])) if head else (0, FIRST)
    links: list[tuple[int, int, bytes, bytes]] = []
    for entry in waiting:
        sequence += 1
        digest = hash_of(sequence, previous, entry)
        links.append((sequence, entry["id"], previous, digest))
        previous = digest
    sequences, entries, befores, hashes = (list(column) for column in zip(*links, strict=True))
    hot(_SEAL, {"sequences": sequences, "entries": entries, "previous": befores, "hashes": hashes})
    return len(links)


def hash_of(sequence: int, previous: bytes, entry: dict[str, Any]) -> bytes:
    """SHA-256 over the canonical JSON (sorted keys, no spaces, UTF-8) of the link's number, the hash before it
    and every column of the entry.
    """
    link = {"sequence": sequence, "previous_hash": previous.hex(), "entry": entry}
    text = json.dumps(link, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()
