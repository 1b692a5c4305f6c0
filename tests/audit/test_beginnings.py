"""Whoever has every right in the database, but no key: can't have a chain begun anew, nor its end sealed again.

The machine's clock is set; rows keep the database's time, so that what is made here is sealed as late as a test says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal.audit import chain_links, chain_sealing
from portal.audit.chain_links import Link, find_beginning, find_head
from portal.audit.chain_proof import prove_chains, prove_watched
from portal.audit.chain_sealing import ChainsStopped, seal_all
from portal.audit.chain_silences import prove_timeliness
from portal.audit.chain_statements import CannotBegin, begin_chains, explain_silences
from portal.audit.chains import AUDIT, CHAINS, Chain
from portal.audit.heads import Head, export_heads, find_heads
from portal.audit.images import WATCHED, digest_sql, key_sql
from portal.audit.service import record_audit
from portal.cli.origin import OPS
from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.settings import get_settings
from portal.workers import clock
from tests.audit.test_superuser import World, found, settled, world

__all__ = ["settled", "world"]
pytestmark = pytest.mark.proves("tried C11")

Later = Callable[[float], None]
NO_LINK = "there is no link: links were deleted"
LATE = "sealed anew"


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


@pytest.mark.parametrize("what", FORGED)
def test_a_chain_whose_links_were_deleted_is_not_begun_anew(world: World, what: str) -> None:
    as_superuser("DELETE FROM chain_link", "DELETE FROM chain_mark", *FORGED[what], **world.ids)
    for _ in range(2):
        with pytest.raises(ChainsStopped, match=NO_LINK):
            clock._seal_chains()
    with transaction():
        assert hot("SELECT count(*) AS n FROM chain_link")[0]["n"] == 0
    told = found()
    for chain in CHAINS:
        assert f"{chain.name}: {NO_LINK}" in told


def test_the_commands_say_that_links_were_deleted_until_an_operator_begins_again(committed_db: Flask) -> None:
    def run(*command: str) -> tuple[int, str]:
        result = committed_db.test_cli_runner().invoke(args=list(command))
        return result.exit_code, result.output

    write()
    seal_all()
    assert run("ledger", "verify")[0] == run("audit", "verify")[0] == run("chains", "status")[0] == 0
    as_superuser("DELETE FROM chain_link", "DELETE FROM chain_mark")
    code, told = run("ledger", "verify")
    assert (code, told.count(NO_LINK)) == (1, len(CHAINS))
    assert NO_LINK in run("audit", "seal")[1]
    for command in (("audit", "verify"), ("audit", "seal"), ("chains", "status")):
        assert run(*command)[0] == 1, command
    assert run("chains", "begin", "--reason", "a trial")[0] == 0
    assert run("audit", "seal")[0] == 0
    assert run("ledger", "verify")[0] == run("audit", "verify")[0] == 0
    assert run("chains", "status")[1].count("a trial") == len(CHAINS)


@pytest.mark.parametrize("what", FORGED)
def test_what_was_sealed_again_from_the_beginning_on_is_named(world: World, later: Later, what: str) -> None:
    as_superuser(
        "DELETE FROM chain_link WHERE sequence > 1", "DELETE FROM chain_mark", *FORGED[what], **world.ids
    )
    later(2)
    seal_all()
    told = found()
    assert "rows of link 2 were made" in told
    assert LATE in told


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


def test_an_end_that_was_cut_off_and_sealed_again_is_named(app: Flask, later: Later) -> None:
    seal_all()
    before = head_of(AUDIT)
    write(2)
    seal_all()
    work(later, 3)
    assert said() == ""
    cut_off("audit", before)
    as_superuser("UPDATE audit_entry SET reason = 'forged' WHERE id = (SELECT max(id) FROM audit_entry)")
    work(later, 3.1, since=3)
    told = said()
    assert f"audit: 2 rows of link {before + 1} were made" in told
    assert f"before link {before + 1}, while other chains were" in told


def test_rows_that_were_deleted_with_their_links_leave_a_gap(app: Flask, later: Later) -> None:
    seal_all()
    before = head_of(AUDIT)
    write()
    seal_all()
    work(later, 3)
    cut_off("audit", before)
    as_superuser("DELETE FROM audit_entry WHERE id = (SELECT max(id) FROM audit_entry)")
    work(later, 3.1, since=3)
    assert said().splitlines() == [said()], "one finding"
    assert f"before link {before + 1}, while other chains were: links were cut off" in said()


def test_within_the_hour_exported_heads_alone_tell(app: Flask) -> None:
    seal_all()
    before = head_of(AUDIT)
    write()
    seal_all()
    with transaction():
        heads = find_heads()
    cut_off("audit", before)
    as_superuser("UPDATE audit_entry SET reason = 'forged' WHERE id = (SELECT max(id) FROM audit_entry)")
    seal_all()
    assert said() == ""
    assert "is not the one that was exported" in said(heads=heads)


def test_a_row_that_is_made_to_look_old_is_named(app: Flask) -> None:
    seal_all()
    as_superuser(
        "INSERT INTO audit_entry (at, actor_kind, action) VALUES (now() - interval '5 hours', 'ops', 'thing.done')"
    )
    seal_all()
    assert "audit: 1 rows of link" in said()


@pytest.mark.parametrize("mark", ["is gone", "is no number"])
def test_a_row_that_the_sealer_is_kept_from_is_named_whatever_the_mark_says(
    app: Flask, later: Later, mark: str
) -> None:
    write()
    change = {"is gone": "DELETE FROM chain_mark", "is no number": "UPDATE chain_mark SET low = '-'"}[mark]
    with transaction():
        for chain in CHAINS:
            chain_sealing.write_link(chain, find_head(chain), [], reached_end=True)
    later(2)
    with transaction():
        for chain in CHAINS:
            chain_sealing.write_link(chain, find_head(chain), [], reached_end=True)
    as_superuser(change)
    assert "never sealed" in said((AUDIT,))


def test_a_database_that_was_just_made_is_sealed_whenever_its_clock_starts(app: Flask, later: Later) -> None:
    with transaction():
        beginnings = [find_beginning(chain) for chain in CHAINS]
        assert [one.told["begun"]["reason"] for one in beginnings if one] == ["the database was made"] * len(
            CHAINS
        )
        waiting = hot("SELECT count(*) AS n FROM change_image")[0]["n"]
        sealed = hot("SELECT sum(cardinality(ids)) AS n FROM chain_link WHERE chain = 'changes'")[0]["n"]
    assert sealed == waiting > 0, "the seed seals what it has added"
    later(72)
    seal_all()
    write()
    as_superuser(
        "UPDATE audit_entry SET at = at + interval '72 hours' WHERE id = (SELECT max(id) FROM audit_entry)"
    )
    work(later, 76, since=72)
    assert said() == ""


def test_a_house_that_stood_still_for_days_is_no_finding(app: Flask, later: Later) -> None:
    write()
    seal_all()
    work(later, 2)
    work(later, 75, since=74.9)
    assert said() == ""


def test_an_outage_of_the_sealer_alone_is_named_until_it_is_explained(app: Flask, later: Later) -> None:
    write(3)
    later(5)
    seal_all()
    behind = head_of(AUDIT)
    assert f"audit: 3 rows of link {behind} were made" in said()
    explained = app.test_cli_runner().invoke(
        args=["chains", "explain-silence", "--reason", "disks were changed"]
    )
    assert explained.exit_code == 0, explained.output
    assert "audit: 3 rows" in explained.output
    # The entry about it is of now, hours before the sealer's machine.
    as_superuser("UPDATE audit_entry SET at = at + interval '5 hours' WHERE action = 'chains.explained'")
    seal_all()
    assert said() == ""
    work(later, 8, since=5)
    cut_off("audit", behind)
    work(later, 8.1, since=8)
    assert f"audit: 3 rows of link {behind} were made" in said(), "what explained it was cut off too"


def of_the_first_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links as older code wrote them, without time and statement, and none where there were no rows."""
    seal_all()
    as_superuser("DELETE FROM chain_link")
    with monkeypatch.context() as patch, transaction():
        patch.setattr(chain_links, "Link", lambda *values: Link(*values, version=1))
        for chain in CHAINS:
            if rows := chain_sealing._waiting(chain, chain_sealing._fresh(chain), None):
                chain_links.write_link(chain, None, rows, reached_end=False)


def begin(app: Flask, hours: float = 0) -> str:
    done = app.test_cli_runner().invoke(args=["chains", "begin", "--reason", "upgrade to this release"])
    assert done.exit_code == 0, done.output
    as_superuser(
        f"UPDATE audit_entry SET at = at + {hours} * interval '1 hour' WHERE action = 'chains.begun'"
    )
    return done.output


def test_links_of_the_first_release_go_on_once_an_operator_has_begun_the_chains(
    world: World, app: Flask, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_first_release(monkeypatch)
    with pytest.raises(ChainsStopped, match="of a release before beginnings"):
        seal_all()
    assert "of a release before beginnings" in found()
    assert begin(app).endswith("6 of 6 chains begun.\n")
    assert begin(app) == "All chains have been begun; nothing was done.\n"
    work(later, 3)
    assert said() == ""
    as_superuser("DELETE FROM chain_link WHERE mac_version = 2")
    with pytest.raises(ChainsStopped, match="of a release before beginnings"):
        seal_all()
    assert "of a release before beginnings" in said()


def test_a_history_without_chains_is_sealed_for_as_long_as_it_takes(
    world: World, app: Flask, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_superuser("DELETE FROM chain_link", "DELETE FROM chain_mark")
    later(5)
    assert "begun over" in begin(app, hours=5)
    hours = 5.0
    with monkeypatch.context() as patch:
        patch.setattr(chain_sealing, "WINDOW", 5)
        patch.setattr(chain_sealing, "LINKS_AT_ONCE", 1)
        while chain_sealing.seal_chains().is_more:
            hours += 0.9
            later(hours)
    assert hours > 7
    work(later, hours + 2, since=hours)
    assert found() == ""
    as_superuser(
        "DELETE FROM chain_link WHERE sequence > 1", "DELETE FROM chain_mark", *FORGED["a role"], **world.ids
    )
    later(hours + 5)
    seal_all()
    assert "rows of link 2 were made" in said()


def test_chains_whose_heads_were_exported_are_not_begun_again(app: Flask, tmp_path: Path) -> None:
    write()
    seal_all()
    with transaction():
        export_heads(tmp_path)
        heads = find_heads()
    as_superuser("DELETE FROM chain_link", "DELETE FROM chain_mark")
    with pytest.raises(CannotBegin, match="was exported and is gone"), transaction():
        begin_chains("again", heads, actor=OPS)


FOREIGN = {
    "of nobody's key": "sha256('mine')",
    "of another chain": "(SELECT mac FROM chain_link WHERE chain = 'audit' AND sequence = 1)",
}


@pytest.mark.parametrize("mac", FOREIGN)
def test_a_beginning_that_was_written_without_the_key_is_none(app: Flask, mac: str) -> None:
    columns = "ids, digests, low_key, high_key, previous_mac, key_id, sealed_at, mac_version, reached_end, statement"
    as_superuser(
        f"CREATE TEMPORARY TABLE forged ON COMMIT DROP AS SELECT 'ledger' AS chain, 1 AS sequence, {columns}, {FOREIGN[mac]} AS mac"
        " FROM chain_link WHERE chain = 'audit' AND sequence = 1",
        "DELETE FROM chain_link WHERE chain = 'ledger'",
        f"INSERT INTO chain_link (chain, sequence, {columns}, mac) SELECT chain, sequence, {columns}, mac FROM forged",
        "DROP TABLE forged",
    )
    with pytest.raises(ChainsStopped, match="ledger: link 1 was not sealed by who has the key"):
        seal_all()
    with pytest.raises(CannotBegin), transaction():
        begin_chains("again", (), actor=OPS)
    with pytest.raises(CannotBegin), transaction():
        explain_silences("again", actor=OPS)
    assert "ledger: link 1 was not sealed by who has the key" in said()


def test_a_new_key_begins_nothing_and_a_missing_one_stops_nothing(
    app: Flask, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    seal_all()
    old = get_settings()
    new = "new:" + "n" * 40
    both = old.model_copy(update={"chain_keys": (new, *old.chain_keys)})
    monkeypatch.setattr("portal.core.crypto.get_settings", lambda: both)
    write()
    work(later, 2)
    assert said() == ""
    alone = old.model_copy(update={"chain_keys": (new,)})
    monkeypatch.setattr("portal.core.crypto.get_settings", lambda: alone)
    seal_all()
    assert "sealed with the key 'dev', which is not in CHAIN_KEYS" in said()
    monkeypatch.setattr("portal.core.crypto.get_settings", lambda: both)
    as_superuser("DELETE FROM chain_link", "DELETE FROM chain_mark")
    with pytest.raises(ChainsStopped, match=NO_LINK):
        seal_all()


def test_who_pauses_the_queue_does_not_stop_the_sealer() -> None:
    queues = {duty.name: duty.queue for duty in clock.UPKEEP}
    assert (queues["audit seals"], queues["chains"]) == (None, None)
