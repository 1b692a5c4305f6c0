"""What is sealed again behind links that were cut off is late; what an honest house seals late is not, or is explained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr

from portal import create_app
from portal.audit import chain_sealing
from portal.audit.chain_links import find_head
from portal.audit.chain_sealing import seal_all
from portal.audit.chains import AUDIT, CHAINS
from portal.audit.heads import find_heads
from portal.core.db import db, transaction
from portal.orders.integrity.proof import verify_everything
from portal.settings import get_settings
from tests.audit.tampering import FORGED, Later, as_superuser, cut_off, head_of, later, said, work, write
from tests.audit.test_superuser import World, found, settled, world
from tests.conftest import forget_what_is_held
from tests.ops.test_backup import flask
from tests.servers import database_url_of, drop_databases

__all__ = ["later", "settled", "world"]
pytestmark = pytest.mark.proves("tried C11")

LATE = "sealed anew"


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


REWRITTEN = {
    "its time": "sealed_at = sealed_at + interval '1 hour'",
    "a time that no program reads": "sealed_at = 'infinity'",
    "that it reached the end": "reached_end = NOT reached_end",
    "a statement": 'statement = \'{{"explained": {{"links": [1, 2, 3]}}}}\'',
    "a statement that can't be read": "statement = '{{'",
    "its form": "mac_version = 1",
}


@pytest.mark.parametrize("what", REWRITTEN)
def test_what_a_link_says_of_itself_is_sealed_with_it(app: Flask, what: str) -> None:
    write()
    seal_all()
    number = head_of(AUDIT)
    as_superuser(f"UPDATE chain_link SET {REWRITTEN[what]} WHERE chain = 'audit' AND sequence = {number}")
    assert f"audit: link {number} was not sealed by who has the key" in said()


@pytest.mark.parametrize("low", ["-", "9" * 30, "01"])
def test_a_mark_that_somebody_has_spoilt_keeps_the_sealer_from_nothing(app: Flask, low: str) -> None:
    seal_all()
    as_superuser(f"UPDATE chain_mark SET low = '{low}'")
    write()
    assert seal_all() > 0
    assert said() == ""


@pytest.fixture
def restored_name(worker: Any, committed_db: Flask) -> Iterator[str]:
    name = worker.name_of("restored")
    yield name
    drop_databases(worker.database_url, name)


def test_a_restored_backup_goes_on_without_a_finding(
    committed_db: Flask, tmp_path: Path, worker: Any, restored_name: str, later: Later
) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 40)
    write()
    seal_all()
    made = flask(committed_db, "create", tmp_path / "old.backup", "--key-file", key)
    assert made.exit_code == 0, made.output
    write()
    seal_all()
    back = flask(
        committed_db, "restore", tmp_path / "old.backup", "--database", restored_name,
        "--uploads", tmp_path / "uploads", "--key-file", key,
    )  # fmt: skip
    assert back.exit_code == 0, back.output
    forget_what_is_held()
    url = database_url_of(worker.database_url, restored_name)
    restored = create_app(get_settings().model_copy(update={"database_url": SecretStr(url)}))
    with restored.app_context():
        work(later, 9, since=8.9)
        work(later, 11, since=9)
        assert verify_everything(exported=()) == []
        db.session.remove()
        db.engine.dispose()
    forget_what_is_held()
