"""`flask audit`: who did what, and proof that the log is what was written."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from portal.audit.chain_proof import prove_chains, prove_watched
from portal.audit.chain_sealing import ChainsStopped, seal_all
from portal.audit.chain_silences import prove_timeliness
from portal.audit.chains import POWER
from portal.audit.findings import Finding
from portal.audit.heads import FILE, Head, UnreadableHeads, export_heads, find_heads, read_heads
from portal.audit.integrity import ChainCheck, note_verification, verify_chain
from portal.audit.models import AuditEntry
from portal.audit.queries import AuditFilter, list_entries
from portal.audit.sealing import seal_waiting
from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.terminal import echo
from portal.core.actors import Actor, ActorKind
from portal.core.db import hot, take_time, transaction
from portal.settings import get_settings

audit = AppGroup("audit", help="Who did what, and proof that nobody has changed the record of it.")
commands = [audit]
_OPS = Actor(ActorKind.OPS)


@audit.command("verify")
@click.option(
    "--heads", type=click.Path(path_type=Path), help=f"Exported heads; {FILE} of AUDIT_HEADS_DIR without."
)
@AS_JSON
def verify(heads: Path | None, as_json: bool) -> None:
    """Compute the whole chain again and compare it with the exported heads. Exit code 1 when it is broken.

    With it the keyed chains over the log and over changes of access, requisites and settings are proved, and that
    each of those rows is as it was last changed through the house. `flask ledger verify` proves the chains over money.
    """
    folder = get_settings().audit_heads_dir
    path = heads or (folder / FILE if folder else None)
    try:
        exported = read_heads(path) if path else []
    except (OSError, UnreadableHeads) as error:
        raise click.ClickException(str(error)) from None
    if heads is not None and not exported:
        raise click.ClickException(f"{heads} holds no heads.")
    with transaction():
        hot("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        take_time()
        verdict = _with(verify_chain(exported), exported)
    with transaction():
        note_verification(verdict, len(exported), actor=_OPS)
    if as_json:
        echo_json(_verdict(verdict, len(exported)))
    else:
        echo(_told(verdict, len(exported)))
    raise SystemExit(0 if verdict.holds else 1)


def _with(verdict: ChainCheck, exported: Sequence[Head]) -> ChainCheck:
    """The verdict on the log, and what the keyed chains say."""
    others = (prove_timeliness(POWER), prove_watched())
    findings = prove_chains(POWER, exported) + [found for found in others if found]
    return replace(
        verdict, findings=(*verdict.findings, *(line for found in findings for line in _lines(found)))
    )


def _lines(found: Finding) -> list[str]:
    more = [f"and {found.count - len(found.examples)} more"] if found.count > len(found.examples) else []
    return [*found.examples, *more]


def _verdict(verdict: ChainCheck, compared: int) -> dict[str, Any]:
    head = verdict.head
    return {
        "ok": verdict.holds,
        "links": head.sequence if head else 0,
        "head": head.hash.hex() if head else None,
        "waiting": verdict.waiting,
        "compared_heads": compared,
        "findings": list(verdict.findings),
    }


def _told(verdict: ChainCheck, compared: int) -> str:
    lines = [f"BROKEN  {finding}" for finding in verdict.findings]
    if verdict.head is None:
        lines.append("Nothing is sealed yet.")
    else:
        lines.append(f"{verdict.head.sequence} links, head {verdict.head.hash.hex()}")
    lines.append(f"{verdict.waiting} entries wait for the sealer.")
    lines.append(
        f"Compared with {compared} exported heads."
        if compared
        else "No exported heads to compare with: an end that was cut off would not show."
    )
    lines.append("The log is not what was written." if verdict.findings else "The log is what was written.")
    return "\n".join(lines)


@audit.command("seal")
def seal() -> None:
    """Chain what waits, now, in the log's chain and the keyed ones. The clock does it every few seconds."""
    done = 0
    while True:
        with transaction():
            count = seal_waiting()
        done += count
        if not count:
            break
    try:
        echo(f"{done} entries sealed, {seal_all()} rows chained.")
    except ChainsStopped as stopped:
        raise click.ClickException(str(stopped)) from None


@audit.command("export-head")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Instead of AUDIT_HEADS_DIR."
)
def export(folder: Path | None) -> None:
    """Add the heads of all chains to audit-heads.jsonl in the folder. The clock does it once an hour."""
    chosen = folder or get_settings().audit_heads_dir
    if chosen is None:
        raise click.ClickException("Set AUDIT_HEADS_DIR, or give --folder.")
    try:
        with transaction():
            added = export_heads(chosen)
    except (OSError, UnreadableHeads) as error:
        raise click.ClickException(str(error)) from None
    for head in added:
        echo(f"{head.chain:10} {head.sequence:10}  {head.hash.hex()}")
    if not added:
        echo("Nothing new to export.")


@audit.command("heads")
def heads_() -> None:
    """Print the heads of all chains as lines of such a file, to be mailed or copied to another machine."""
    with transaction():
        heads = find_heads()
    for head in heads:
        echo(head.line(datetime.now(UTC)))


@audit.command("list")
@click.option("--actor", type=click.UUID, help="The id of who did it.")
@click.option("--subject", help="To what: a kind and an id, such as user:01a2...")
@click.option("--action", help="Such as access.changed, or access. for all of a noun.")
@click.option("--since", type=click.DateTime(), help="UTC.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@AS_JSON
def list_(
    actor: uuid.UUID | None,
    subject: str | None,
    action: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """What was done, the newest first."""
    kind, colon, subject_id = (subject or "").partition(":")
    if subject and not (kind and colon and subject_id):
        raise click.UsageError("--subject is a kind and an id, such as user:01a2...")
    chosen = AuditFilter(
        actor_id=actor,
        subject=(kind, subject_id) if subject else None,
        action=action,
        at_from=since.replace(tzinfo=UTC) if since else None,
    )
    entries = list_entries(chosen, limit)
    if as_json:
        echo_json([_entry(entry) for entry in entries])
        return
    for entry in entries:
        echo(_line(entry))


def _entry(entry: AuditEntry) -> dict[str, Any]:
    names = (
        "id",
        "action",
        "actor_kind",
        "subject_kind",
        "subject_id",
        "before",
        "after",
        "reason",
        "request_id",
    )
    plain = {name: getattr(entry, name) for name in names}
    return plain | {
        "at": entry.at.isoformat(),
        "actor_id": str(entry.actor_id) if entry.actor_id else None,
        "ip": str(entry.ip) if entry.ip else None,
        "session_id": str(entry.session_id) if entry.session_id else None,
        "user_agent": entry.user_agent,
    }


def _line(entry: AuditEntry) -> str:
    who = f"{entry.actor_kind}:{entry.actor_id}" if entry.actor_id else entry.actor_kind
    what = f"{entry.subject_kind}:{entry.subject_id}" if entry.subject_kind else "-"
    changed = json.dumps(entry.after, ensure_ascii=False) if entry.after else ""
    parts = [f"{entry.at:%Y-%m-%d %H:%M:%S}Z", entry.action, who, what, str(entry.ip or "-")]
    return "  ".join([*parts, changed, f"({entry.reason})" if entry.reason else ""]).rstrip()
