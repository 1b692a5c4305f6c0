"""The chain over the audit log: one sealer, and every later change of the log found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from portal.audit.heads import FILE, Head, find_head, read_heads
from portal.audit.integrity import ChainCheck, verify_chain
from portal.audit.sealing import LOCK, seal_waiting
from portal.audit.service import record_audit
from portal.core.actors import SYSTEM
from portal.core.db import db, hot, transaction

_GUARDED = "audit_entry audit_seal"


def write(count: int) -> None:
    for number in range(count):
        with transaction():
            record_audit(
                "thing.done", actor=SYSTEM, subject=("thing", str(number)), after={"n": number, "word": "ё"}
            )


def seal() -> int:
    with transaction():
        return seal_waiting()


def head() -> Head:
    with transaction():
        found = find_head()
    assert found is not None
    return found


def verdict(*exported: Head) -> ChainCheck:
    with transaction():
        return verify_chain(exported)


def tamper(*statements: str) -> None:
    """What somebody does who may do everything in the database."""
    with transaction():
        for table in _GUARDED.split():
            hot(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            hot(statement)
        for table in _GUARDED.split():
            hot(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.fixture
def log(app: Flask) -> None:
    """Five sealed entries."""
    write(5)
    assert seal() == 5


@pytest.mark.usefixtures("log")
def test_what_was_written_is_chained_once_and_holds() -> None:
    assert seal() == 0
    write(2)
    assert verdict().waiting == 2
    assert seal() == 2
    found = verdict()
    assert (found.holds, found.head, found.waiting) == (True, head(), 0)
    assert head().sequence == 7


@pytest.mark.proves("ASVS 41")
@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE audit_entry SET reason = 'none' WHERE subject_id = '2'", "is not what was sealed"),
        (
            "UPDATE audit_entry SET at = at + interval '1 microsecond' WHERE subject_id = '2'",
            "is not what was sealed",
        ),
        ("UPDATE audit_entry SET after = '{\"n\": 9}' WHERE subject_id = '2'", "is not what was sealed"),
        ("DELETE FROM audit_seal WHERE sequence = 3", "link 3 is missing"),
        ("UPDATE audit_seal SET hash = sha256('x') WHERE sequence = 3", "is not what was sealed"),
        ("UPDATE audit_seal SET previous_hash = sha256('x') WHERE sequence = 3", "does not continue"),
    ],
)
def test_every_change_of_what_was_sealed_is_found(statement: str, told: str) -> None:
    tamper(statement)
    findings = verdict().findings
    assert any(told in finding for finding in findings), findings


def test_an_entry_taken_out_of_the_queue_is_found(app: Flask) -> None:
    write(2)
    with transaction():
        hot("DELETE FROM audit_unsealed WHERE entry_id = (SELECT max(entry_id) FROM audit_unsealed)")
    seal()
    assert any("neither sealed nor waiting" in finding for finding in verdict().findings)


@pytest.mark.usefixtures("log")
def test_an_end_that_was_cut_off_shows_by_the_exported_head() -> None:
    exported = head()
    tamper(
        "DELETE FROM audit_seal WHERE sequence > 3",
        "DELETE FROM audit_entry e WHERE NOT EXISTS (SELECT 1 FROM audit_seal s WHERE s.entry_id = e.id)",
    )
    assert verdict().holds
    assert verdict(exported).findings == ("link 5 was exported and is gone",)


@pytest.mark.usefixtures("log")
def test_a_chain_that_was_written_anew_shows_by_the_exported_head() -> None:
    exported = head()
    tamper(
        "UPDATE audit_entry SET reason = 'nothing happened' WHERE subject_id = '2'",
        "DELETE FROM audit_seal",
        "INSERT INTO audit_unsealed SELECT id FROM audit_entry",
    )
    assert seal() == 5
    assert verdict().holds
    assert verdict(exported).findings == ("link 5: its hash is not the one that was exported",)


@pytest.mark.usefixtures("log")
def test_a_guard_that_is_switched_off_is_found() -> None:
    with transaction():
        hot("ALTER TABLE audit_seal DISABLE TRIGGER audit_seal_stays")
    assert any("audit_seal_stays is missing or off" in finding for finding in verdict().findings)


def test_there_is_one_sealer(committed_db: Flask) -> None:
    write(1)
    dsn = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn) as another:
        another.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        assert seal() == 0
        another.rollback()
        assert seal() >= 1


def test_the_commands_say_whether_it_holds_and_export_the_head(committed_db: Flask, tmp_path: Path) -> None:
    run = committed_db.test_cli_runner().invoke
    write(3)
    assert "entries sealed" in run(args=["audit", "seal"]).output
    exported = run(args=["audit", "export-head", "--folder", str(tmp_path)])
    assert exported.exit_code == 0
    assert run(args=["audit", "export-head", "--folder", str(tmp_path)]).output == "Nothing new to export.\n"
    heads = read_heads(tmp_path / FILE)
    assert head() in heads
    assert {one.chain for one in heads} >= {"log", "audit", "changes"}
    sound = run(args=["audit", "verify", "--json", "--heads", str(tmp_path / FILE)])
    assert sound.exit_code == 0
    assert json.loads(sound.output) | {"waiting": 0} == {
        "ok": True,
        "links": head().sequence,
        "head": head().hash.hex(),
        "waiting": 0,
        "compared_heads": len(heads),
        "findings": [],
    }
    listed = json.loads(run(args=["audit", "list", "--json", "--limit", "1", "--action", "thing."]).output)
    assert [(entry["action"], entry["after"]) for entry in listed] == [("thing.done", {"n": 2, "word": "ё"})]
    assert re.search(
        r"thing\.done +system +thing:2", run(args=["audit", "list", "--subject", "thing:2"]).output
    )
    tamper("UPDATE audit_entry SET reason = 'none' WHERE subject_id = '2'")
    broken = run(args=["audit", "verify", "--heads", str(tmp_path / FILE)])
    assert broken.exit_code == 1
    assert "The log is not what was written." in broken.output
