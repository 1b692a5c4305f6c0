"""Whether the keyed chains are being sealed: for the metrics, `flask doctor` and `flask chains status`."""

from __future__ import annotations

from dataclasses import dataclass

from portal.audit.chain_links import find_head
from portal.audit.chain_sealing import why_stopped
from portal.audit.chains import CHAINS


@dataclass(frozen=True, slots=True)
class ChainState:
    """`stopped`: why the sealer does not go on. `silent_s`: seconds since the last link, which is ours."""

    chain: str
    stopped: str | None
    silent_s: float


def list_chain_states() -> list[ChainState]:
    """All chains, by their last links alone."""
    heads = [(chain, find_head(chain)) for chain in CHAINS]
    return [
        ChainState(chain.name, why_stopped(chain, head), max(head.age_s, 0.0) if head else 0.0)
        for chain, head in heads
    ]
