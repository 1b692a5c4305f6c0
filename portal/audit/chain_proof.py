"""Proof that what was sealed with a key is what stands: every link, every row of its table, every watched row.

Each question is one statement over all of the history, whose answer is what does not hold. Call in one transaction
that is REPEATABLE READ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from portal.audit.chain_sealing import mac_of
from portal.audit.chains import DIGEST, FIRST, Chain
from portal.audit.findings import Finding
from portal.audit.heads import Head
from portal.audit.images import WATCHED, Watched, digest_sql, key_sql
from portal.core.crypto import UnknownChainKey
from portal.core.db import hot

_PAGE = 500
EXAMPLES = 5
WATCHED_TITLE = (
    "every row that decides about access, money's way or settings is as it was last changed through the house"
)
_LINKS = """
SELECT l.sequence, l.previous_mac, l.mac, l.key_id, sha256(convert_to(coalesce(l.uuids::text, l.ids::text), 'UTF8')
         || (SELECT string_agg(d, ''::bytea ORDER BY n) FROM unnest(l.digests) WITH ORDINALITY u (d, n))) AS rows
  FROM chain_link l WHERE l.chain = %(chain)s AND l.sequence > %(after)s ORDER BY l.sequence LIMIT %(limit)s
"""


def _rows_sql(chain: Chain) -> str:
    """Every row that differs from what its link holds, that is gone, or that the sealer has passed by."""
    low = "low::uuid" if chain.is_uuid else "low::bigint"
    return f"""
    WITH sealed AS (
      SELECT l.sequence, u.id, u.digest FROM chain_link l, unnest(l.{chain.column}, l.digests) AS u (id, digest)
       WHERE l.chain = '{chain.name}'
    ), standing AS (
      SELECT r.id, r.image IS NULL AS is_forgotten, {DIGEST.format(image="r.image")} AS digest FROM ({chain.rows}) r
    ), passed AS (SELECT {low} AS low FROM chain_mark WHERE chain = '{chain.name}'),
    broken AS (
      SELECT s.sequence, coalesce(s.id, t.id) AS id, t.id IS NULL AS is_gone FROM sealed s
        FULL JOIN standing t ON t.id = s.id LEFT JOIN passed ON true
       WHERE t.id IS NULL OR (s.id IS NULL AND t.id <= passed.low) OR (s.digest <> t.digest AND NOT t.is_forgotten)
    )
    SELECT count(*) OVER () AS n, CASE WHEN sequence IS NULL THEN format('{chain.name} %s: never sealed', id)
             WHEN is_gone THEN format('{chain.name} %s: sealed in link %s and gone', id, sequence)
             ELSE format('{chain.name} %s: not what was sealed in link %s', id, sequence) END AS example
      FROM broken ORDER BY id LIMIT {EXAMPLES}
    """  # noqa: S608 - constants of portal.audit.chains


def prove_chain(chain: Chain, exported: Sequence[Head] = ()) -> Finding | None:
    """What of one chain does not hold; None when all does. `exported`: heads that were taken away before."""
    rows = hot(_rows_sql(chain))
    told = [str(row["example"]) for row in rows]
    links = list(_broken_links(chain, exported))
    if not told and not links:
        return None
    count = (int(rows[0]["n"]) if rows else 0) + len(links)
    return Finding(chain.title, count, tuple((told + links)[: 2 * EXAMPLES]))


def _broken_links(chain: Chain, exported: Sequence[Head]) -> Iterator[str]:
    known = {head.sequence: head.hash for head in exported if head.chain == chain.name}
    previous, due = FIRST, 1
    for link in _links(chain):
        sequence, mac = int(link["sequence"]), bytes(link["mac"])
        if sequence != due or bytes(link["previous_mac"]) != previous:
            yield f"{chain.name}: link {sequence} does not continue the one before it"
        elif problem := _forged(chain, link):
            yield problem
        remembered = known.pop(sequence, None)
        if remembered is not None and remembered != mac:
            yield f"{chain.name}: link {sequence} is not the one that was exported"
        previous, due = mac, sequence + 1
    for sequence in sorted(known):
        yield f"{chain.name}: link {sequence} was exported and is gone"


def _forged(chain: Chain, link: dict[str, Any]) -> str | None:
    sequence, key_id = int(link["sequence"]), str(link["key_id"])
    try:
        mac = mac_of(chain.name, sequence, bytes(link["previous_mac"]), bytes(link["rows"]), key_id)
    except UnknownChainKey:
        return f"{chain.name}: link {sequence} was sealed with the key {key_id!r}, which is not in CHAIN_KEYS"
    if mac != bytes(link["mac"]):
        return f"{chain.name}: link {sequence} was not sealed by who has the key"
    return None


def _links(chain: Chain) -> Iterator[dict[str, Any]]:
    after = 0
    while page := hot(_LINKS, {"chain": chain.name, "after": after, "limit": _PAGE}):
        yield from page
        after = int(page[-1]["sequence"])


def _watched_sql(watched: Watched) -> str:
    noted = f"SELECT FROM change_image n WHERE n.table_name = '{watched.table}' AND n.row_key = {key_sql(watched)}"
    empty = (
        f"num_nonnulls({watched.columns}) = 0 AND NOT EXISTS ({noted})" if watched.is_born_empty else "false"
    )
    return f"""
    SELECT coalesce(i.row_key, t.row_key) AS row_key, t.row_key IS NULL AS is_gone, i.row_key IS NULL AS is_new
      FROM (SELECT DISTINCT ON (row_key) row_key, digest FROM change_image WHERE table_name = '{watched.table}'
             ORDER BY row_key, id DESC) i
      FULL JOIN (SELECT {key_sql(watched)} AS row_key, {digest_sql(watched)} AS digest FROM {watched.table} t
                  WHERE NOT ({empty})) t
        ON t.row_key = i.row_key
     WHERE i.digest IS DISTINCT FROM t.digest
    """  # noqa: S608 - constants of portal.audit.images


def prove_watched() -> Finding | None:
    """Rows that were changed, made or deleted past the trigger that notes it."""
    told: list[str] = []
    count = 0
    for watched in WATCHED:
        rows = hot(_watched_sql(watched))
        count += len(rows)
        for row in rows[:EXAMPLES]:
            what = (
                "gone"
                if row["is_gone"]
                else "made past the house"
                if row["is_new"]
                else "changed past the house"
            )
            told.append(f"{watched.table} {row['row_key']}: {what}")
    return Finding(WATCHED_TITLE, count, tuple(told[: 4 * EXAMPLES])) if told else None


def prove_chains(chains: Sequence[Chain], exported: Sequence[Head] = ()) -> list[Finding]:
    """The findings of several chains."""
    return [found for chain in chains if (found := prove_chain(chain, exported)) is not None]
