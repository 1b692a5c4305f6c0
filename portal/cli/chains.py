"""`flask chains`: what an operator says in the keyed chains, and how they stand."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from portal.audit.chain_links import Link, find_beginning, find_head
from portal.audit.chain_sealing import why_stopped
from portal.audit.chain_statements import CannotBegin, begin_chains, explain_silences
from portal.audit.chains import CHAINS
from portal.audit.heads import UnreadableHeads, exported_heads
from portal.cli.origin import OPS
from portal.cli.terminal import echo
from portal.core.db import take_time, transaction

chains = AppGroup(
    "chains", help="The keyed chains over money, access and settings: begin them, explain what is late."
)
commands = [chains]
_REASON = click.option("--reason", required=True, help="Why; it is sealed and kept for ever.")


@chains.command("begin")
@_REASON
def begin(reason: str) -> None:
    """Begin each chain that the sealer does not go on with; those that are sealed stay as they are.

    For an upgrade from a release without them, and after links were lost. What stands in the tables now is sealed as it is:
    run `flask ledger verify` before, and find out who deleted links where there were any.
    """
    try:
        with transaction():
            take_time()
            begun = begin_chains(reason, exported_heads(), actor=OPS)
    except (CannotBegin, OSError, UnreadableHeads) as error:
        raise click.ClickException(str(error)) from None
    for one in begun:
        echo(f"{one.chain.name:10} begun over {one.rows} rows, the last {one.highest or '-'}")
    echo(
        f"{len(begun)} of {len(CHAINS)} chains begun."
        if begun
        else "All chains have been begun; nothing was done."
    )


@chains.command("explain-silence")
@_REASON
def explain(reason: str) -> None:
    """Say why rows were sealed late, after an outage of the clock that you know of. Prints what is explained.

    Compare the times with those of your outage first: links that were cut off, and rows sealed anew, look the same.
    """
    try:
        with transaction():
            take_time()
            explained = explain_silences(reason, actor=OPS)
    except CannotBegin as error:
        raise click.ClickException(str(error)) from None
    for one in explained:
        echo(one.told)
    echo(f"{len(explained)} explained." if explained else "Nothing was sealed late; nothing was done.")


@chains.command("status")
def status() -> None:
    """Say of each chain when and why it was begun, and when it was sealed last. Exit code 1 when one does not go on."""
    is_stopped = False
    with transaction():
        for chain in CHAINS:
            head = find_head(chain)
            problem = why_stopped(chain, head)
            is_stopped = is_stopped or problem is not None
            echo(f"{chain.name:10} {problem or _told(find_beginning(chain), head)}")
    raise SystemExit(1 if is_stopped else 0)


def _told(beginning: Link | None, head: Link | None) -> str:
    assert head is not None
    sealed = f"{head.sequence} links, the last of {head.sealed_at:%Y-%m-%d %H:%M:%S}Z"
    if beginning is None:
        return sealed
    said = beginning.told.get("begun", {})
    over = f" over {said['rows']} rows" if "rows" in said else ""
    by = f" by {said['by']}" if "by" in said else ""
    return f"{sealed}; begun {beginning.sealed_at:%Y-%m-%d %H:%M:%S}Z{over}{by}: {said.get('reason')}"
