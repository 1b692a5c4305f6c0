"""Proof that what was sealed with a key is what stands: every link, every row of its table, every watched row.

Each question is one statement over all of the history, whose answer is what does not hold. Call in one transaction
that is REPEATABLE READ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portal.audit.chain_links import IS_TIME, Link, links_of
from portal.audit.chain_sealing import why_stopped
from portal.audit.chain_silences import LATE_S
from portal.audit.chains import DIGEST, FIRST, Chain
from portal.audit.findings import Finding
from portal.audit.heads import Head
from portal.audit.images import WATCHED, Watched, digest_sql, key_sql
from portal.core.db import hot

EXAMPLES = 5
_NUMBER = "^[0-9]{1,18}$"
_UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
WATCHED_TITLE = (
    "every row that decides about access, money's way or settings is as it was last changed through the house"
)


def _rows_sql(chain: Chain) -> str:
    """Every row that differs from what its link holds, that is gone, or that the sealer has passed by."""
    # A mark that is no id is nobody's: a cast of it would end the proof.
    low = f"CASE WHEN low ~ '{_UUID if chain.is_uuid else _NUMBER}' THEN low::{'uuid' if chain.is_uuid else 'bigint'} END"
    return f"""
    WITH sealed AS (
      SELECT l.sequence, u.id, u.digest FROM chain_link l, unnest(l.{chain.column}, l.digests) AS u (id, digest)
       WHERE l.chain = '{chain.name}'
    ), standing AS (
      SELECT r.id, r.at, r.image IS NULL AS is_forgotten, {DIGEST.format(image="r.image")} AS digest FROM ({chain.rows}) r
    ), passed AS (
      SELECT (SELECT {low} FROM chain_mark WHERE chain = '{chain.name}') AS low,
             (SELECT sealed_at FROM chain_link WHERE chain = '{chain.name}' AND mac_version <> 1 AND reached_end AND {IS_TIME}
               ORDER BY sequence DESC LIMIT 1) - make_interval(secs => {LATE_S}) AS at
    ),
    broken AS (
      SELECT s.sequence, coalesce(s.id, t.id) AS id, t.id IS NULL AS is_gone FROM sealed s
        FULL JOIN standing t ON t.id = s.id LEFT JOIN passed ON true
       WHERE t.id IS NULL OR (s.id IS NULL AND (t.id <= passed.low OR t.at < passed.at)) OR (s.digest <> t.digest AND NOT t.is_forgotten)
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
    before: Link | None = None
    for link in links_of(chain):
        previous, due = (before.mac, before.sequence + 1) if before else (FIRST, 1)
        if link.sequence != due or link.previous != previous:
            yield f"{chain.name}: link {link.sequence} does not continue the one before it"
        elif problem := link.problem:
            yield problem
        elif _lacks_beginning(link, before):
            yield f"{chain.name}: link {link.sequence} begins the chain, and nobody has said so"
        remembered = known.pop(link.sequence, None)
        if remembered is not None and remembered != link.mac:
            yield f"{chain.name}: link {link.sequence} is not the one that was exported"
        before = link
    if before is None or before.version == 1:
        yield str(why_stopped(chain, before))
    for sequence in sorted(known):
        yield f"{chain.name}: link {sequence} was exported and is gone"


def _lacks_beginning(link: Link, before: Link | None) -> bool:
    return link.version != 1 and (before is None or before.version == 1) and "begun" not in link.told


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
