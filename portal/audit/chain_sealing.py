"""The one sealer of the keyed chains: it takes what is new in each table, in the order in which it finds it.

Ids commit out of order, and some never. A row is waited for by nobody: what lies above a chain's mark is looked at anew
each time, and the mark follows once no transaction can be running that took an id below it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portal.audit.chains import CHAINS, DIGEST, FIRST, Chain
from portal.core.crypto import chain_mac, newest_chain_key_id
from portal.core.db import hot, take_time, transaction

LOCK = 0x6E6F7374_6368616E  # "nostchan", and on: held by the sealer of each chain until its commit
# Rows of one link, and links of one go.
WINDOW = 2000
LINKS_AT_ONCE = 5
# Nobody holds a transaction open for so long (DB_IDLE_IN_TRANSACTION_TIMEOUT_S and DB_STATEMENT_TIMEOUT_MS).
SETTLES_AFTER_S = 15.0
# Ids that programs give out tell the time of their machine: so far may that be behind.
CLOCKS_DIFFER_S = 600
_ZERO = uuid.UUID(int=0)

_LOCK = "SELECT pg_try_advisory_xact_lock(%(key)s) AS is_ours"
_MARK = """
SELECT m.*, clock_timestamp() - m.seen_at > make_interval(secs => %(settles)s)
         AND pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= m.seen_before AS has_settled,
       m.seen_before > pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS is_of_another_server
  FROM chain_mark m WHERE chain = %(chain)s
"""
_HEAD = "SELECT sequence, mac FROM chain_link WHERE chain = %(chain)s ORDER BY sequence DESC LIMIT 1"
_LINK = """
INSERT INTO chain_link (chain, sequence, {column}, digests, low_key, high_key, previous_mac, mac, key_id)
VALUES (%(chain)s, %(sequence)s, %(ids)s::{type}[], %(digests)s::bytea[], %(low)s, %(high)s, %(previous)s, %(mac)s, %(key)s)
"""
_KEEP = """
INSERT INTO chain_mark (chain, low, final, seen, seen_before, seen_at)
VALUES (%(chain)s, %(low)s, %(final)s, %(seen)s, %(seen_before)s, coalesce(%(seen_at)s::timestamptz, clock_timestamp()))
ON CONFLICT (chain) DO UPDATE SET low = excluded.low, final = excluded.final, seen = excluded.seen,
   seen_before = excluded.seen_before, seen_at = excluded.seen_at
"""
_END = "SELECT coalesce(pg_sequence_last_value(%(sequence)s::regclass), 0) AS last"
# Asked after the end and before anything is written: whoever took an id up to the end has a lower number.
_NUMBER = "SELECT pg_current_xact_id()::text::bigint AS number"
_AGO = "SELECT (extract(epoch FROM clock_timestamp() - make_interval(secs => %(s)s)) * 1000)::bigint AS ms"


def key_text(key: Any) -> str:
    """An id so that ids compare as texts."""
    return str(key) if isinstance(key, uuid.UUID) else f"{int(key):020d}"


def rows_hash(keys: Sequence[Any], digests: Sequence[bytes]) -> bytes:
    """SHA-256 over a link's ids and digests."""
    listed = f"{{{','.join(str(key) for key in keys)}}}"
    return hashlib.sha256(listed.encode() + b"".join(bytes(digest) for digest in digests)).digest()


def mac_of(chain: str, sequence: int, previous: bytes, rows: bytes, key_id: str) -> bytes:
    """HMAC-SHA256 over the canonical JSON of a link. Raises UnknownChainKey."""
    link = {
        "chain": chain,
        "sequence": sequence,
        "previous": previous.hex(),
        "rows": rows.hex(),
        "key": key_id,
    }
    return chain_mac(key_id, json.dumps(link, sort_keys=True, separators=(",", ":")).encode())


@dataclass(frozen=True, slots=True)
class Sealed:
    """How many rows were chained in one go, and whether more is known to wait."""

    rows: int
    is_more: bool


def seal_chains(chains: Sequence[Chain] = CHAINS) -> Sealed:
    """Chain what is new, a transaction for each link. A chain that another sealer is at is left to it.

    Not inside transaction().
    """
    sealed, is_full = 0, False
    for chain in chains:
        for _ in range(LINKS_AT_ONCE):
            with transaction():
                count, is_more = _seal(chain)
            sealed += count
            if not is_more:
                break
        is_full = is_full or is_more
    return Sealed(sealed, is_full)


def seal_all() -> int:
    """As seal_chains(), until nothing waits; how many rows were sealed."""
    done = seal_chains()
    rows = done.rows
    while done.is_more:
        done = seal_chains()
        rows += done.rows
    return rows


def _seal(chain: Chain) -> tuple[int, bool]:
    """One link at most; how many rows, and whether more is known to wait."""
    if not hot(_LOCK, {"key": LOCK + CHAINS.index(chain)})[0]["is_ours"]:
        return 0, False
    take_time()
    found = hot(_MARK, {"chain": chain.name, "settles": SETTLES_AFTER_S})
    mark: dict[str, Any] = dict(found[0]) if found else _fresh(chain)
    before = dict(mark)
    if not chain.is_uuid:
        _look_at_the_end(chain, mark)
    upper = _window_end(chain, mark)
    rows = _waiting(chain, mark, upper)
    head = hot(_HEAD, {"chain": chain.name})
    sequence, previous = (int(head[0]["sequence"]), bytes(head[0]["mac"])) if head else (0, FIRST)
    if rows:
        sequence += 1
        _write(chain, sequence, previous, rows)
    is_full = upper is not None or len(rows) == WINDOW
    _advance(chain, mark, upper, rows, is_full=is_full)
    if mark != before or not found:
        hot(_KEEP, {name: mark[name] for name in ("chain", "low", "final", "seen", "seen_before", "seen_at")})
    return len(rows), is_full


def _look_at_the_end(chain: Chain, mark: dict[str, Any]) -> None:
    """What was the end some time ago is final once nobody is left from then; then the present end is noted."""
    if mark["has_settled"]:
        mark["final"] = mark["seen"]
    if mark["final"] != mark["seen"] and not mark["is_of_another_server"]:
        return
    end = str(hot(_END, {"sequence": chain.sequence})[0]["last"])
    if end != mark["seen"] or mark["is_of_another_server"]:
        mark |= {"seen": end, "seen_before": hot(_NUMBER)[0]["number"], "seen_at": None}


def _fresh(chain: Chain) -> dict[str, Any]:
    nothing = str(_ZERO) if chain.is_uuid else "0"
    return {
        "chain": chain.name, "low": nothing, "final": nothing, "seen": nothing, "seen_before": 0, "seen_at": None,
        "has_settled": False, "is_of_another_server": True,
    }  # fmt: skip


def _window_end(chain: Chain, mark: dict[str, Any]) -> int | None:
    """With a long history behind: a window of ids in which nothing can appear any more. None: to the end."""
    if chain.is_uuid or int(mark["final"]) - int(mark["low"]) <= WINDOW:
        return None
    return int(mark["low"]) + WINDOW


def _waiting(chain: Chain, mark: dict[str, Any], upper: int | None) -> list[dict[str, Any]]:
    """Rows above the mark that no link holds, in the order of their ids."""
    kind = "uuid" if chain.is_uuid else "bigint"
    sql = f"""
    WITH sealed AS (
      SELECT unnest({chain.column}) AS id FROM chain_link
       WHERE chain = %(chain)s AND high_key > %(low_key)s AND low_key <= %(upper_key)s)
    SELECT r.id, {DIGEST.format(image="coalesce(r.image, '')")} AS digest FROM ({chain.rows}
       WHERE {chain.key} > %(low)s::{kind} AND (%(upper)s::{kind} IS NULL OR {chain.key} <= %(upper)s::{kind})
       AND {chain.key} NOT IN (SELECT id FROM sealed) ORDER BY {chain.key} LIMIT {WINDOW}) r
    """  # noqa: S608 - constants of portal.audit.chains
    low = uuid.UUID(mark["low"]) if chain.is_uuid else int(mark["low"])
    upper_key = key_text(upper) if upper is not None else "~"
    params = {
        "chain": chain.name, "low": low, "low_key": key_text(low), "upper": upper, "upper_key": upper_key,
    }  # fmt: skip
    return sorted(hot(sql, params), key=lambda row: key_text(row["id"]))


def _write(chain: Chain, sequence: int, previous: bytes, rows: list[dict[str, Any]]) -> None:
    ids, digests = [row["id"] for row in rows], [bytes(row["digest"]) for row in rows]
    key_id = newest_chain_key_id()
    hot(
        _LINK.format(column=chain.column, type="uuid" if chain.is_uuid else "bigint"),
        {
            "chain": chain.name, "sequence": sequence, "ids": ids, "digests": digests, "low": key_text(ids[0]),
            "high": key_text(ids[-1]), "previous": previous, "key": key_id,
            "mac": mac_of(chain.name, sequence, previous, rows_hash(ids, digests), key_id),
        },
    )  # fmt: skip


def _advance(
    chain: Chain, mark: dict[str, Any], upper: int | None, rows: list[dict[str, Any]], *, is_full: bool
) -> None:
    """Move the mark over what is sealed and settled; note where the end is now, to come back to."""
    if chain.is_uuid:
        _advance_by_time(mark, rows, is_full=is_full)
    elif upper is not None:
        mark["low"] = str(upper)
    elif not is_full:
        mark["low"] = mark["final"]


def _advance_by_time(mark: dict[str, Any], rows: list[dict[str, Any]], *, is_full: bool) -> None:
    """Ids begin with a time: below the moment of some minutes ago no clock of ours gives one out."""
    long_ago = uuid.UUID(int=int(hot(_AGO, {"s": CLOCKS_DIFFER_S})[0]["ms"]) << 80)
    settled = min(long_ago, rows[-1]["id"]) if is_full else long_ago
    mark["low"] = max(mark["low"], str(settled))
