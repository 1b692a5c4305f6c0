"""The sealer of the keyed chains: nothing is skipped, nobody is waited for, and who lacks the key can't go on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from portal.audit import chain_sealing
from portal.audit.chain_links import key_text
from portal.audit.chain_proof import prove_chain, prove_watched
from portal.audit.chain_sealing import LOCK, seal_all, seal_chains
from portal.audit.chains import AUDIT, CHAINS
from portal.audit.heads import find_heads
from portal.audit.images import WATCHED
from portal.audit.service import record_audit
from portal.core.actors import SYSTEM
from portal.core.db import db, hot, transaction
from portal.settings import get_settings

_BY_HAND = "INSERT INTO audit_entry (actor_kind, action) VALUES ('ops', 'thing.done') RETURNING id"


@pytest.fixture
def other(committed_db: Flask) -> Iterator[psycopg.Connection[tuple[int]]]:
    """A connection of somebody else."""
    dsn = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn) as connection:
        yield connection


def write(count: int) -> None:
    for _ in range(count):
        with transaction():
            record_audit("thing.done", actor=SYSTEM)


def sealed() -> list[int]:
    with transaction():
        rows = hot("SELECT unnest(ids) AS id FROM chain_link WHERE chain = 'audit' ORDER BY sequence")
    return [int(row["id"]) for row in rows]


def mark() -> int:
    with transaction():
        return int(hot("SELECT low FROM chain_mark WHERE chain = 'audit'")[0]["low"])


def mark_reaches(end: int) -> bool:
    """Whether the mark comes to it: not before everybody has ended who began on this server before, other tests too."""
    until = time.monotonic() + 60
    while mark() < end and time.monotonic() < until:
        seal_all()
        time.sleep(0.1)
    return mark() == end


def holds() -> bool:
    with transaction():
        return prove_chain(AUDIT) is None


@pytest.mark.proves("tried C11")
def test_what_commits_late_is_sealed_and_nobody_waits_for_it(
    other: psycopg.Connection[tuple[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_sealing, "SETTLES_AFTER_S", 0.0)
    seal_all()
    row = other.execute(_BY_HAND).fetchone()
    assert row is not None
    late = row[0]
    write(2)
    seal_all()
    assert [key - late for key in sealed()[-2:]] == [1, 2]
    for _ in range(3):
        seal_all()
    assert mark() < late, "the mark stays below what may still come"
    other.commit()
    seal_all()
    assert sealed()[-1] == late
    assert mark_reaches(late + 2)
    assert len(sealed()) == len(set(sealed()))
    assert holds()


def test_an_id_that_was_never_used_holds_nothing_up(
    other: psycopg.Connection[tuple[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_sealing, "SETTLES_AFTER_S", 0.0)
    other.execute(_BY_HAND)
    other.rollback()
    write(1)
    seal_all()
    assert mark_reaches(sealed()[-1])
    assert holds()


def test_a_long_history_is_sealed_window_by_window(
    committed_db: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_sealing, "SETTLES_AFTER_S", 0.0)
    monkeypatch.setattr(chain_sealing, "WINDOW", 3)
    write(20)
    with transaction():
        end = hot("SELECT max(id) AS id FROM audit_entry")[0]["id"]
    assert mark_reaches(end)
    with transaction():
        written = [int(row["id"]) for row in hot("SELECT id FROM audit_entry ORDER BY id")]
        most = hot(
            "SELECT max(cardinality(digests)) AS n FROM chain_link WHERE chain = 'audit' AND sequence > 3"
        )
    assert sorted(sealed()) == written
    assert most[0]["n"] <= 3
    assert holds()


def test_a_row_that_the_mark_has_passed_and_no_link_holds_is_found(committed_db: Flask) -> None:
    write(1)
    with transaction():
        hot(
            "UPDATE chain_mark SET low = pg_sequence_last_value('audit_entry_id_seq'::regclass)::text WHERE chain = 'audit'"
        )
    with transaction():
        found = prove_chain(AUDIT)
        assert found is not None
        assert "never sealed" in found.examples[0]
        hot("UPDATE chain_mark SET low = '0' WHERE chain = 'audit'")


def test_there_is_one_sealer_of_the_chains(other: psycopg.Connection[tuple[int]]) -> None:
    write(1)
    other.execute("SELECT pg_advisory_xact_lock(%s + n) FROM generate_series(0, 9) AS n", (LOCK,))
    assert seal_chains().rows == 0
    other.rollback()
    assert seal_chains().rows > 0


def test_keys_rotate_and_each_link_names_its_own(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    write(1)
    seal_all()
    old = get_settings()
    both = old.model_copy(update={"chain_keys": ("new:" + "n" * 40, *old.chain_keys)})
    monkeypatch.setattr("portal.core.crypto.get_settings", lambda: both)
    write(1)
    seal_all()
    with transaction():
        keys = [
            row["key_id"]
            for row in hot("SELECT key_id FROM chain_link WHERE chain = 'audit' ORDER BY sequence")
        ]
    assert keys[-2:] == ["dev", "new"]
    assert holds()
    monkeypatch.setattr("portal.core.crypto.get_settings", lambda: old)
    with transaction():
        found = prove_chain(AUDIT)
    assert found is not None
    assert "which is not in CHAIN_KEYS" in found.examples[0]


def test_an_end_that_was_cut_off_shows_by_the_exported_head_alone(app: Flask) -> None:
    write(1)
    seal_all()
    write(1)
    seal_all()
    with transaction():
        heads = find_heads()
        hot("SET LOCAL session_replication_role = replica")
        hot("DELETE FROM audit_entry WHERE id = (SELECT max(id) FROM audit_entry)")
        hot(
            "DELETE FROM chain_link WHERE chain = 'audit' AND sequence = (SELECT max(sequence) FROM chain_link WHERE chain = 'audit')"
        )
        hot("SET LOCAL session_replication_role = origin")
        assert prove_chain(AUDIT) is None
        found = prove_chain(AUDIT, heads)
    assert found is not None
    assert "was exported and is gone" in found.examples[0]


def test_the_triggers_watch_what_the_proof_compares(app: Flask) -> None:
    with transaction():
        rows = hot(
            "SELECT tgrelid::regclass::text AS name, tgargs FROM pg_trigger WHERE tgfoid = 'note_change'::regproc ORDER BY 1, 2"
        )
        assert prove_watched() is None
    there = {(row["name"], tuple(bytes(row["tgargs"]).decode().split("\0")[:-1])) for row in rows}
    assert there == {(watched.table, (watched.key, watched.columns)) for watched in WATCHED}
    # One for new rows and one for changed ones, but where new rows have nothing to note.
    assert len(rows) == sum(1 if watched.is_born_empty else 2 for watched in WATCHED)


def test_ids_compare_as_texts() -> None:
    assert key_text(9) < key_text(10)
    assert len({chain.name for chain in CHAINS}) == len(CHAINS)
