"""Proof that rows were sealed when they were made: what somebody sealed anew, behind links that were cut off, is late.

Only whoever has the key can make a link, and each holds when it was made. So a chain that was cut off and went on shows
twice: nobody was sealing between two of its links while other chains went on, and rows were sealed long after they
were made. A house that stood still shows neither: no chain went on, and nothing was made. What an operator has
explained (`flask chains explain-silence`), or begun, is no finding. The other proof says that the links are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.audit.chain_links import IS_TIME, Link, find_statements
from portal.audit.chains import Chain
from portal.audit.findings import Finding
from portal.core.db import hot

# The sealer comes every five seconds, and writes a link every twenty minutes even with nothing to seal.
LATE_S = 3600
# All chains may be still for those twenty minutes; longer than this, nobody was sealing.
_AWAY_S = 1500
TITLE = "every row was sealed when it was made, and no chain was cut off and sealed anew"
_EXAMPLES = 20

_GAPS = f"""
SELECT sequence, before, sealed_at FROM (
  SELECT sequence, sealed_at, lag(sealed_at) OVER (ORDER BY sequence) AS before
    FROM chain_link WHERE chain = %(chain)s AND mac_version <> 1 AND {IS_TIME}) l
 WHERE sealed_at - before > make_interval(secs => %(late)s) ORDER BY sequence
"""  # noqa: S608 - our own condition
# From a link on to the first that reached the end: what was waiting there, and came meanwhile.
_REACHED = """
SELECT s.sequence, coalesce(
         (SELECT min(l.sequence) FROM chain_link l WHERE l.chain = %(chain)s AND l.sequence >= s.sequence AND l.reached_end),
         (SELECT max(l.sequence) FROM chain_link l WHERE l.chain = %(chain)s)) AS until
  FROM unnest(%(starts)s::bigint[]) AS s (sequence)
"""
_AWAY = """
SELECT coalesce(sum(length), interval '0') AS length FROM (
  SELECT sealed_at - lag(sealed_at) OVER (ORDER BY sealed_at) AS length FROM chain_link
   WHERE mac_version <> 1 AND sealed_at BETWEEN %(since)s AND %(until)s) l
 WHERE length > make_interval(secs => %(away)s)
"""


@dataclass(frozen=True, slots=True)
class Silence:
    """That something is late in a link, which nobody has explained. `told` is a sentence."""

    chain: Chain
    link: int
    told: str


def find_silences(chain: Chain) -> list[Silence]:
    """What is late in one chain, link by link. Reads all of it."""
    explained = _explained(find_statements(chain))
    gaps = hot(_GAPS, {"chain": chain.name, "late": LATE_S})
    starts = [int(gap["sequence"]) for gap in gaps]
    found = [
        Silence(
            chain, int(gap["sequence"]), _of_gap(chain, int(gap["sequence"]), gap["before"], gap["sealed_at"])
        )
        for gap in gaps
        if int(gap["sequence"]) not in explained and not _stood_still(gap["before"], gap["sealed_at"])
    ]
    return found + list(_late_rows(chain, _excused(chain, explained, starts)))


def prove_timeliness(chains: Sequence[Chain]) -> Finding | None:
    """What is late in several chains; None when nothing is."""
    found = [silence for chain in chains for silence in find_silences(chain)]
    return Finding(TITLE, len(found), tuple(one.told for one in found[:_EXAMPLES])) if found else None


def _explained(said: Sequence[Link]) -> set[int]:
    """Links that an operator has begun a chain with, or has explained behind them."""
    links = {link.sequence for link in said if "begun" in link.told}
    for link in said:
        links |= {
            number for number in link.told.get("explained", {}).get("links", ()) if number < link.sequence
        }
    return links


def _excused(chain: Chain, explained: set[int], gaps: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of links in which rows may be old: from what was explained until the end was reached, or a gap comes."""
    rows = hot(_REACHED, {"chain": chain.name, "starts": sorted(explained)})
    ranges = []
    for row in rows:
        start, until = int(row["sequence"]), int(row["until"])
        ranges.append((start, min([until, *(gap - 1 for gap in gaps if gap > start)])))
    return ranges


def _stood_still(since: datetime, until: datetime) -> bool:
    """Whether what is missing between two links is time in which no chain was sealed."""
    away: timedelta = hot(_AWAY, {"since": since, "until": until, "away": _AWAY_S})[0]["length"]
    return (until - since - away).total_seconds() <= LATE_S


def _of_gap(chain: Chain, link: int, since: datetime, until: datetime) -> str:
    return (
        f"{chain.name}: nothing was sealed from {_time(since)} to {_time(until)}, before link {link}, while other chains"
        " were: links were cut off, or its sealer stood still"
    )


def _late_rows(chain: Chain, excused: Sequence[tuple[int, int]]) -> Iterator[Silence]:
    sql = f"""
    SELECT k.sequence, k.sealed_at, count(*) AS n, min(t.at)::text AS first
      FROM chain_link k CROSS JOIN LATERAL unnest(k.{chain.column}) AS u (id)
      JOIN (SELECT r.id, r.at FROM ({chain.rows}) r) t ON t.id = u.id
     WHERE k.chain = %(chain)s AND k.mac_version <> 1 AND k.{IS_TIME} AND t.at < k.sealed_at - make_interval(secs => %(late)s)
       AND NOT EXISTS (SELECT FROM unnest(%(from)s::bigint[], %(to)s::bigint[]) AS e (a, b) WHERE k.sequence BETWEEN e.a AND e.b)
     GROUP BY k.sequence, k.sealed_at ORDER BY k.sequence
    """  # noqa: S608 - constants of portal.audit.chains
    params = {
        "chain": chain.name,
        "late": LATE_S,
        "from": [a for a, _ in excused],
        "to": [b for _, b in excused],
    }
    for row in hot(sql, params):
        told = (
            f"{chain.name}: {row['n']} rows of link {row['sequence']} were made from {row['first']} on and sealed"
            f" at {_time(row['sealed_at'])}: nobody was sealing, or they were changed and sealed anew"
        )
        yield Silence(chain, int(row["sequence"]), told)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"
