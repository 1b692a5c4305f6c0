"""What an operator says in a chain, sealed with its key: that it begins here, or why something was sealed late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portal.audit.chain_links import Link, find_head, write_link
from portal.audit.chain_sealing import begin_mark, try_to_hold, why_stopped
from portal.audit.chain_silences import Silence, find_silences
from portal.audit.chains import CHAINS, Chain
from portal.audit.heads import Head
from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import hot


class CannotBegin(Exception):
    """A chain that has links which are not to be gone on with; the words say why."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A chain that was begun, and what stood in its table then."""

    chain: Chain
    rows: int
    highest: str | None


def begin_chains(reason: str, exported: Sequence[Head], *, actor: Actor) -> list[Begun]:
    """Begin each chain that the sealer does not go on with; the others stay as they are. Needs transaction().

    A link says for ever by whom, when, why and over what. Whatever stands in the tables now will be sealed: somebody must
    know that it is right. Raises CannotBegin when links were exported that are gone, or the last one is forged.
    """
    begun = []
    for chain in CHAINS:
        head = _held_head(chain)
        if why_stopped(chain, head) is None:
            continue
        if problem := _hindrance(chain, head, exported):
            raise CannotBegin(problem)
        begun.append(_begin(chain, head, reason, actor))
    if begun:
        over = {one.chain.name: {"rows": one.rows, "highest": one.highest} for one in begun}
        record_audit("chains.begun", actor=actor, after=over, reason=reason)
    return begun


def begin_in_new_database() -> None:
    """Begin all chains where the tables were made this moment and hold what the migrations put there. Needs transaction()."""
    for chain in CHAINS:
        if _held_head(chain) is None:
            write_link(
                chain, None, [], reached_end=True, statement={"begun": {"reason": "the database was made"}}
            )


def explain_silences(reason: str, *, actor: Actor) -> list[Silence]:
    """Say why rows were sealed late: what `flask ledger verify` found of that is none from then on. Needs transaction().

    Returns what was explained. Raises CannotBegin when a chain is not to be gone on with.
    """
    explained = []
    for chain in CHAINS:
        head = _held_head(chain)
        if problem := why_stopped(chain, head):
            raise CannotBegin(problem)
        if found := find_silences(chain):
            said = {"links": sorted({one.link for one in found}), **_who(actor, reason)}
            write_link(chain, head, [], reached_end=False, statement={"explained": said})
            explained += found
    if explained:
        links = {one.chain.name: one.link for one in explained}
        record_audit("chains.explained", actor=actor, after={"last_links": links}, reason=reason)
    return explained


def _held_head(chain: Chain) -> Link | None:
    """The head, to be written behind. Raises CannotBegin while a sealer is at it."""
    if not try_to_hold(chain):
        raise CannotBegin(f"{chain.name}: it is being sealed at this moment; try again")
    return find_head(chain)


def _hindrance(chain: Chain, head: Link | None, exported: Sequence[Head]) -> str | None:
    last = max((one.sequence for one in exported if one.chain == chain.name), default=0)
    if last > (head.sequence if head else 0):
        return (
            f"{chain.name}: link {last} was exported and is gone. Find out who deleted links before anything is begun"
            " anew; then keep the file of heads elsewhere, and begin with none"
        )
    return head.problem if head else None


def _begin(chain: Chain, head: Link | None, reason: str, actor: Actor) -> Begun:
    rows = hot(f"SELECT count(*) AS n FROM ({chain.rows}) r")[0]["n"]  # noqa: S608 - our own columns
    highest = hot(f"SELECT r.id::text AS id FROM ({chain.rows}) r ORDER BY r.id DESC LIMIT 1")  # noqa: S608 - our own columns
    over = Begun(chain, int(rows), highest[0]["id"] if highest else None)
    said: dict[str, Any] = {"rows": over.rows, "highest": over.highest, **_who(actor, reason)}
    write_link(chain, head, [], reached_end=False, statement={"begun": said})
    if head is None:
        begin_mark(chain)
    return over


def _who(actor: Actor, reason: str) -> dict[str, str | None]:
    return {"by": actor.origin.user_agent if actor.origin else actor.kind.value, "reason": reason}
