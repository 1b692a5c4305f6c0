"""The hand of somebody with every right in the database, and the sealer's machine at another hour.

Rows keep the database's time, so that what is made here is sealed as late as a test says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.audit import chain_links
from portal.audit.chain_links import find_head
from portal.audit.chain_proof import prove_chains, prove_watched
from portal.audit.chain_sealing import seal_all
from portal.audit.chain_silences import prove_timeliness
from portal.audit.chains import CHAINS, Chain
from portal.audit.heads import Head
from portal.audit.images import WATCHED, digest_sql, key_sql
from portal.audit.service import record_audit
from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction

Later = Callable[[float], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """The sealer's machine is so many hours on from now."""

    def move(hours: float) -> None:
        moment = datetime.now(UTC) + timedelta(hours=hours)
        monkeypatch.setattr(chain_links, "clock", lambda: moment)

    return move


def as_superuser(*statements: str, **named: Any) -> None:
    """Past every trigger and right."""
    with transaction():
        hot("SET LOCAL session_replication_role = replica")
        for statement in statements:
            hot(statement.format(**named))
        hot("SET LOCAL session_replication_role = origin")


def work(later: Later, hours: float, since: float = 0.0) -> None:
    """The sealer comes as it does while the house is open: every twenty minutes at least."""
    turns = max(1, round((hours - since) * 3))
    for turn in range(1, turns + 1):
        later(since + (hours - since) * turn / turns)
        seal_all()


def said(chains: Sequence[Chain] = CHAINS, heads: Sequence[Head] = ()) -> str:
    """What the proofs of the chains say, as one text."""
    with transaction():
        findings = [*prove_chains(chains, heads), prove_timeliness(chains), prove_watched()]
        return "\n".join("; ".join(one.examples) for one in findings if one)


def write(count: int = 1) -> None:
    for _ in range(count):
        with transaction():
            record_audit("thing.done", actor=SYSTEM, reason="as it was")


def forged_note(table: str, where: str) -> str:
    """The newest row of a watched table, noted as its trigger would."""
    watched = next(one for one in WATCHED if one.table == table)
    return (
        f"INSERT INTO change_image (table_name, row_key, digest) SELECT '{table}', {key_sql(watched)}, {digest_sql(watched)}"
        f" FROM {table} t WHERE {where}"
    )


FORGED = {
    "an entry of the ledger": ("UPDATE ledger_entry SET reason = 'forged' WHERE id = (SELECT min(id) FROM ledger_entry)",),
    "a role": (
        "INSERT INTO user_role (user_id, role) VALUES ('{person}', 'admin')",
        forged_note("user_role", "t.user_id = '{person}' AND t.role = 'admin'"),
    ),
    "a setting": (
        "UPDATE config_setting SET value = '1' WHERE key = 'pay_window_s'",
        forged_note("config_setting", "t.key = 'pay_window_s'"),
    ),
}  # fmt: skip


def cut_off(chain: str, behind: int) -> None:
    """The links behind one are gone, and the mark looks at everything again."""
    as_superuser(
        f"DELETE FROM chain_link WHERE chain = '{chain}' AND sequence > {behind}",
        f"UPDATE chain_mark SET low = '0', final = '0', seen = '0', seen_before = 0 WHERE chain = '{chain}'",
    )


def head_of(chain: Chain) -> int:
    with transaction():
        head = find_head(chain)
    assert head is not None
    return head.sequence
