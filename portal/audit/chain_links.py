"""One link of a keyed chain: what its HMAC covers, how it is read and written.

When a link was sealed is told by this process's own clock: that of the database is in the hands of whoever has it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from portal.audit.chains import FIRST, Chain
from portal.core.crypto import UnknownChainKey, chain_mac, newest_chain_key_id
from portal.core.db import hot

# Links of the first release (1) hold neither time nor statement.
OF_TODAY = 2
_PAGE = 500
# A time that no program can read must not end the proof; the MAC tells of it.
IS_TIME = "sealed_at BETWEEN '2000-01-01' AND '3000-01-01'"
SEALED_AT = f"CASE WHEN l.{IS_TIME} THEN l.sealed_at ELSE 'epoch' END AS sealed_at"
_COLUMNS = f"""l.sequence, l.previous_mac, l.mac, l.key_id, l.mac_version, {SEALED_AT}, l.reached_end, l.statement,
       sha256(convert_to(coalesce(l.uuids::text, l.ids::text), 'UTF8') || coalesce(
         (SELECT string_agg(d, ''::bytea ORDER BY n) FROM unnest(l.digests) WITH ORDINALITY u (d, n)), ''::bytea)) AS rows"""  # noqa: S608 - our own columns
_HEAD = f"SELECT {_COLUMNS} FROM chain_link l WHERE l.chain = %(chain)s ORDER BY l.sequence DESC LIMIT 1"  # noqa: S608 - our own columns
_AFTER = f"""
SELECT {_COLUMNS} FROM chain_link l WHERE l.chain = %(chain)s AND l.sequence > %(after)s ORDER BY l.sequence LIMIT %(limit)s
"""  # noqa: S608 - our own columns
_SAID = f"""
SELECT {_COLUMNS} FROM chain_link l WHERE l.chain = %(chain)s AND l.statement IS NOT NULL ORDER BY l.sequence
"""  # noqa: S608 - our own columns
_WRITE = """
INSERT INTO chain_link (chain, sequence, {column}, digests, low_key, high_key, previous_mac, mac, key_id, sealed_at,
                        mac_version, reached_end, statement)
VALUES (%(chain)s, %(sequence)s, %(ids)s::{type}[], %(digests)s::bytea[], %(low)s, %(high)s, %(previous)s, %(mac)s, %(key)s,
        %(sealed_at)s, %(version)s, %(reached_end)s, %(statement)s)
"""


def clock() -> datetime:
    """The time of this machine, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Link:
    """A link without its rows, of which it has one hash. `mac` is what stands there, whoever wrote it.

    `reached_end`: no row that could be seen was left unsealed. `statement`: what an operator said, as JSON.
    """

    chain: str
    sequence: int
    previous: bytes
    rows: bytes
    key_id: str
    sealed_at: datetime
    reached_end: bool
    statement: str | None
    version: int = OF_TODAY
    mac: bytes = b""

    def computed_mac(self) -> bytes:
        """HMAC-SHA256 over the canonical JSON of the link. Raises UnknownChainKey."""
        covered: dict[str, object] = {
            "chain": self.chain, "sequence": self.sequence, "previous": self.previous.hex(), "rows": self.rows.hex(),
            "key": self.key_id,
        }  # fmt: skip
        if self.version != 1:
            covered |= {
                "version": self.version, "sealed_at": self.sealed_at.astimezone(UTC).isoformat(timespec="microseconds"),
                "reached_end": self.reached_end, "statement": self.statement,
            }  # fmt: skip
        return chain_mac(self.key_id, json.dumps(covered, sort_keys=True, separators=(",", ":")).encode())

    @property
    def problem(self) -> str | None:
        """That it was not sealed with a key of ours, in words."""
        try:
            is_ours = self.computed_mac() == self.mac
        except UnknownChainKey:
            return f"{self.chain}: link {self.sequence} was sealed with the key {self.key_id!r}, which is not in CHAIN_KEYS"
        return None if is_ours else f"{self.chain}: link {self.sequence} was not sealed by who has the key"

    @property
    def age_s(self) -> float:
        """Seconds since it was sealed; negative where this machine's clock is behind that of the sealer."""
        return (clock() - self.sealed_at).total_seconds()

    @property
    def told(self) -> dict[str, Any]:
        """The statement, read. Nothing in a link of the first release, where no key covers it, or of another text."""
        try:
            said = json.loads(self.statement or "{}") if self.version != 1 else {}
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}


def find_head(chain: Chain) -> Link | None:
    """The last link of a chain, with its MAC as it stands."""
    rows = hot(_HEAD, {"chain": chain.name})
    return _link(chain, rows[0]) if rows else None


def find_statements(chain: Chain) -> list[Link]:
    """The links in which somebody who has the key has said something, from the first on."""
    links = (_link(chain, row) for row in hot(_SAID, {"chain": chain.name}))
    return [link for link in links if link.told and link.problem is None]


def find_beginning(chain: Chain) -> Link | None:
    """The newest link in which an operator, or the making of the database, has begun the chain; None without one."""
    return next((link for link in reversed(find_statements(chain)) if "begun" in link.told), None)


def links_of(chain: Chain) -> Iterator[Link]:
    """Every link, from the first on."""
    after = 0
    while page := hot(_AFTER, {"chain": chain.name, "after": after, "limit": _PAGE}):
        yield from (_link(chain, row) for row in page)
        after = int(page[-1]["sequence"])


def _link(chain: Chain, row: dict[str, Any]) -> Link:
    return Link(
        chain.name, int(row["sequence"]), bytes(row["previous_mac"]), bytes(row["rows"]), str(row["key_id"]),
        row["sealed_at"], bool(row["reached_end"]), row["statement"], int(row["mac_version"]), bytes(row["mac"]),
    )  # fmt: skip


def write_link(
    chain: Chain,
    head: Link | None,
    rows: Sequence[dict[str, Any]],
    *,
    reached_end: bool,
    statement: dict[str, Any] | None = None,
) -> None:
    """Seal rows (`id`, `digest`; maybe none) behind `head` with the newest key. Needs transaction() and the chain's lock."""
    ids, digests = [row["id"] for row in rows], [bytes(row["digest"]) for row in rows]
    link = Link(
        chain.name, head.sequence + 1 if head else 1, head.mac if head else FIRST, rows_hash(ids, digests),
        newest_chain_key_id(), clock(), reached_end,
        json.dumps(statement, sort_keys=True, ensure_ascii=False) if statement else None,
    )  # fmt: skip
    hot(
        _WRITE.format(column=chain.column, type="uuid" if chain.is_uuid else "bigint"),
        {
            "chain": chain.name, "sequence": link.sequence, "ids": ids, "digests": digests,
            "low": key_text(ids[0]) if ids else "", "high": key_text(ids[-1]) if ids else "",
            "previous": link.previous, "mac": link.computed_mac(), "key": link.key_id, "sealed_at": link.sealed_at,
            "version": link.version, "reached_end": reached_end, "statement": link.statement,
        },
    )  # fmt: skip


def key_text(key: Any) -> str:
    """An id so that ids compare as texts."""
    return str(key) if isinstance(key, uuid.UUID) else f"{int(key):020d}"


def rows_hash(keys: Sequence[Any], digests: Sequence[bytes]) -> bytes:
    """SHA-256 over a link's ids and digests."""
    listed = f"{{{','.join(str(key) for key in keys)}}}"
    return hashlib.sha256(listed.encode() + b"".join(bytes(digest) for digest in digests)).digest()
