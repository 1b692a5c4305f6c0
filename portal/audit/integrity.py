"""Proof that the audit log is what was written: every link is computed again from the first one on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from portal.audit.heads import LOG, Head
from portal.audit.sealing import COLUMNS, FIRST, hash_of
from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import hot

_PAGE = 1000
MAX_FINDINGS = 100
_LINKS = f"""
SELECT s.sequence AS seal_sequence, s.previous_hash, s.hash, {COLUMNS}
  FROM audit_seal s JOIN audit_entry e ON e.id = s.entry_id
 WHERE s.sequence > %(after)s ORDER BY s.sequence LIMIT %(limit)s
"""  # noqa: S608 - our own columns
# Neither chained nor waiting for it: somebody has taken it out of the queue, or the seal.
_ASTRAY = """
SELECT e.id FROM audit_entry e
 WHERE NOT EXISTS (SELECT 1 FROM audit_seal s WHERE s.entry_id = e.id)
   AND NOT EXISTS (SELECT 1 FROM audit_unsealed u WHERE u.entry_id = e.id)
 ORDER BY e.id LIMIT %(limit)s
"""
_WAITING = """
SELECT count(*) AS n, count(*) FILTER (WHERE e.at < now() - make_interval(secs => %(late)s)) AS late
  FROM audit_unsealed u JOIN audit_entry e ON e.id = u.entry_id
"""
_TRIGGERS = """
SELECT wanted.name FROM unnest(%(names)s::text[]) AS wanted(name)
 WHERE NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgname = wanted.name AND t.tgenabled = 'O')
"""
_GUARDS = (
    "audit_entry_stays",
    "audit_entry_stays_whole",
    "audit_entry_waits",
    "audit_seal_stays",
    "audit_seal_stays_whole",
)
# The clock seals every few seconds; what waits longer is waiting for a clock.
LATE_S = 300.0


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """How far the chain goes, what waits for the sealer, and what is broken, in words."""

    head: Head | None
    waiting: int
    findings: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.findings


def verify_chain(exported: Sequence[Head] = ()) -> ChainCheck:
    """Compute the whole chain again and compare it with heads that were exported before.

    Without an exported head nobody can tell when the end of the chain was cut off, or all of it was written
    anew. Reads one snapshot: call it in a transaction that is REPEATABLE READ.
    """
    known = {head.sequence: head for head in exported if head.chain == LOG}
    findings: list[str] = []
    head: Head | None = None
    for link in _links():
        problem = _problem(link, head)
        if problem:
            findings.append(problem)
        head = Head(int(link["seal_sequence"]), bytes(link["hash"]))
        remembered = known.pop(head.sequence, None)
        if remembered is not None and remembered.hash != head.hash:
            findings.append(f"link {head.sequence}: its hash is not the one that was exported")
        if len(findings) >= MAX_FINDINGS:
            break
    else:
        findings += [f"link {sequence} was exported and is gone" for sequence in sorted(known)]
    findings += [
        f"entry {row['id']}: neither sealed nor waiting" for row in hot(_ASTRAY, {"limit": MAX_FINDINGS})
    ]
    findings += [
        f"the trigger {row['name']} is missing or off" for row in hot(_TRIGGERS, {"names": list(_GUARDS)})
    ]
    waiting = hot(_WAITING, {"late": LATE_S})[0]
    if waiting["late"]:
        findings.append(
            f"{waiting['late']} entries wait for the sealer for more than {LATE_S:g} s: is the clock running?"
        )
    return ChainCheck(head, int(waiting["n"]), tuple(findings[:MAX_FINDINGS]))


def note_verification(verdict: ChainCheck, compared: int, *, actor: Actor) -> None:
    """Write down when the chain was verified last and how it stood: an entry like any other. Needs transaction().

    `compared`: with how many exported heads.
    """
    head = verdict.head
    after = {
        "ok": verdict.holds, "links": head.sequence if head else 0, "head": head.hash.hex() if head else None,
        "waiting": verdict.waiting, "compared_heads": compared, "findings": len(verdict.findings),
    }  # fmt: skip
    record_audit("audit.verified", actor=actor, after=after)


def _links() -> Iterator[dict[str, Any]]:
    after = 0
    while page := hot(_LINKS, {"after": after, "limit": _PAGE}):
        yield from page
        after = page[-1]["seal_sequence"]


def _problem(link: dict[str, Any], before: Head | None) -> str | None:
    sequence, stored = int(link["seal_sequence"]), bytes(link["hash"])
    previous = before.hash if before else FIRST
    due = before.sequence + 1 if before else 1
    if sequence != due:
        return f"link {sequence}: link {due} is missing before it"
    if bytes(link["previous_hash"]) != previous:
        return f"link {sequence}: it does not continue the link before it"
    entry = {
        name: value for name, value in link.items() if name not in {"seal_sequence", "previous_hash", "hash"}
    }
    if hash_of(sequence, previous, entry) != stored:
        return f"link {sequence}: entry {link['id']} is not what was sealed"
    return None
