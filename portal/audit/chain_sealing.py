"""The one sealer of the keyed chains: it takes what is new in each table, in the order in which it finds it.

Ids commit out of order, and some never. A row is waited for by nobody: what lies above a chain's mark is looked at anew
each time, and the mark follows once no transaction can be running that took an id below it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portal.audit.chain_links import Link, find_head, key_text, write_link
from portal.audit.chains import CHAINS, DIGEST, Chain
from portal.core.crypto import UnknownChainKey
from portal.core.db import hot, take_time, transaction

LOCK = 0x6E6F7374_6368616E  # "nostchan", and on: held by the sealer of each chain until its commit
# Rows of one link, and links of one go.
WINDOW = 2000
LINKS_AT_ONCE = 5
# With nothing new a chain gets a link without rows: so a gap between two links tells that nobody was sealing, or that
# links were cut off and the chain was sealed anew from there (portal.audit.chain_silences).
STILL_EVERY_S = 1200
# Nobody holds a transaction open for so long (DB_IDLE_IN_TRANSACTION_TIMEOUT_S and DB_STATEMENT_TIMEOUT_MS).
SETTLES_AFTER_S = 15.0
# Ids that programs give out tell the time of their machine: so far may that be behind.
CLOCKS_DIFFER_S = 600
_ZERO = uuid.UUID(int=0)
_IS_ID = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)

_LOCK = "SELECT pg_try_advisory_xact_lock(%(key)s) AS is_ours"
_MARK = """
SELECT m.*, clock_timestamp() - m.seen_at > make_interval(secs => %(settles)s)
         AND pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= m.seen_before AS has_settled,
       m.seen_before > pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS is_of_another_server
  FROM chain_mark m WHERE chain = %(chain)s
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


class ChainsStopped(Exception):
    """Chains that the sealer does not go on with, a sentence each, with what to do."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """How many rows were chained in one go, and whether more is known to wait."""

    rows: int
    is_more: bool


def seal_chains(chains: Sequence[Chain] = CHAINS) -> Sealed:
    """Chain what is new, a transaction for each link. A chain that another sealer is at is left to it.

    Not inside transaction(). Raises ChainsStopped when all others are done: a chain is begun by an operator alone, for
    whoever has the database could delete its links, change rows, and have them sealed anew.
    """
    sealed, is_full, stopped = 0, False, []
    for chain in chains:
        try:
            count, is_more = _seal_some(chain)
        except ChainsStopped as refusal:
            stopped.append(str(refusal))
            continue
        sealed += count
        is_full = is_full or is_more
    if stopped:
        raise ChainsStopped("; ".join(stopped))
    return Sealed(sealed, is_full)


def seal_all() -> int:
    """As seal_chains(), until nothing waits; how many rows were sealed."""
    done = seal_chains()
    rows = done.rows
    while done.is_more:
        done = seal_chains()
        rows += done.rows
    return rows


def try_to_hold(chain: Chain) -> bool:
    """Be the chain's only writer until the transaction ends; False when somebody else is. Needs transaction()."""
    return bool(hot(_LOCK, {"key": LOCK + CHAINS.index(chain)})[0]["is_ours"])


def why_stopped(chain: Chain, head: Link | None) -> str | None:
    """Why the sealer does not continue from `head`; None when it does.

    A key that is missing here stops nothing: what is new is sealed all the same, and the proof names it.
    """
    if head is None:
        return f"{chain.name}: there is no link: links were deleted, or the chain was never begun"
    if head.version == 1:
        return f"{chain.name}: link {head.sequence} is of a release before beginnings: the chain is to be begun again behind it"
    try:
        is_ours = head.computed_mac() == head.mac
    except UnknownChainKey:
        return None
    return None if is_ours else head.problem


def _seal_some(chain: Chain) -> tuple[int, bool]:
    """LINKS_AT_ONCE at most. Raises ChainsStopped."""
    sealed, is_more = 0, False
    for _ in range(LINKS_AT_ONCE):
        with transaction():
            count, is_more = _seal(chain)
        sealed += count
        if not is_more:
            break
    return sealed, is_more


def _seal(chain: Chain) -> tuple[int, bool]:
    """One link at most; how many rows, and whether more is known to wait. Raises ChainsStopped."""
    if not try_to_hold(chain):
        return 0, False
    take_time()
    head = find_head(chain)
    if refusal := why_stopped(chain, head):
        raise ChainsStopped(f'{refusal} (docs/operating.md, "Chain keys, heads")')
    assert head is not None
    found = hot(_MARK, {"chain": chain.name, "settles": SETTLES_AFTER_S})
    mark: dict[str, Any] = dict(found[0]) if found and _is_readable(chain, found[0]) else _fresh(chain)
    before = dict(mark)
    if not chain.is_uuid:
        _look_at_the_end(chain, mark)
    upper = _window_end(chain, mark)
    rows = _waiting(chain, mark, upper)
    is_full = upper is not None or len(rows) == WINDOW
    if rows or (not is_full and head.age_s >= STILL_EVERY_S):
        write_link(chain, head, rows, reached_end=not is_full)
    _advance(chain, mark, upper, rows, is_full=is_full)
    if mark != before or not found:
        _keep(mark)
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


def _is_readable(chain: Chain, mark: dict[str, Any]) -> bool:
    """Whatever else stands there, the sealer looks at all rows anew instead."""
    ids = [str(mark[name]) for name in ("low", "final", "seen")]
    if not chain.is_uuid:
        return all(_IS_ID.fullmatch(one) for one in ids)
    try:
        return all(str(uuid.UUID(one)) == one for one in ids)
    except ValueError:
        return False


def begin_mark(chain: Chain) -> None:
    """Look at all rows of the chain's table from now on: no link holds any. Needs transaction() and the chain's lock."""
    _keep(_fresh(chain))


def _keep(mark: dict[str, Any]) -> None:
    hot(_KEEP, {name: mark[name] for name in ("chain", "low", "final", "seen", "seen_before", "seen_at")})


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
