"""Whoever has every right in the database, but no key, can't have a chain begun anew; who runs the house can."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from portal.audit import chain_links, chain_sealing
from portal.audit.chain_links import Link, find_beginning
from portal.audit.chain_sealing import ChainsStopped, seal_all
from portal.audit.chain_statements import CannotBegin, begin_chains, explain_silences
from portal.audit.chains import AUDIT, CHAINS
from portal.audit.heads import export_heads, find_heads
from portal.cli.origin import OPS
from portal.core.db import hot, transaction
from portal.settings import get_settings
from portal.workers import clock
from tests.audit.tampering import FORGED, Later, as_superuser, head_of, later, said, work, write
from tests.audit.test_superuser import World, found, settled, world

__all__ = ["later", "settled", "world"]
pytestmark = pytest.mark.proves("tried C11")

NO_LINK = "there is no link: links were deleted"


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


def test_a_forged_link_of_an_unknown_key_is_sealed_behind_and_named_until_it_is_taken_out(
    app: Flask, later: Later
) -> None:
    """The way out that docs/operating.md tells."""
    write()
    seal_all()
    forged = head_of(AUDIT) + 1
    as_superuser(
        "INSERT INTO chain_link (chain, sequence, ids, digests, low_key, high_key, previous_mac, mac, key_id, sealed_at,"
        f" mac_version, reached_end) SELECT 'audit', {forged}, '{{{{}}}}', '{{{{}}}}', high_key, high_key, mac, sha256('x'),"
        f" 'nobodys', sealed_at, 2, true FROM chain_link WHERE chain = 'audit' AND sequence = {forged} - 1"
    )
    write()
    work(later, 2)
    named = f"audit: link {forged} was sealed with the key 'nobodys', which is not in CHAIN_KEYS"
    assert head_of(AUDIT) > forged, "the sealer goes on behind it"
    assert said() == named
    with transaction():
        exported = find_heads()
    as_superuser(
        f"DELETE FROM chain_link WHERE chain = 'audit' AND sequence >= {forged}",
        "DELETE FROM chain_mark WHERE chain = 'audit'",
    )
    seal_all()
    assert "were made" in said()
    with transaction():
        explain_silences("a forged link was taken out", actor=OPS)
    as_superuser("UPDATE audit_entry SET at = at + interval '2 hours' WHERE action = 'chains.explained'")
    seal_all()
    assert said() == ""
    assert "audit: link" in said(heads=exported), "heads that were exported tell of it for ever"


def test_who_pauses_the_queue_does_not_stop_the_sealer() -> None:
    queues = {duty.name: duty.queue for duty in clock.UPKEEP}
    assert (queues["audit seals"], queues["chains"]) == (None, None)
