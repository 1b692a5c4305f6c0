"""`flask doctor`: a sound installation passes, and each thing that is wrong is named with its cure."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import text

from portal.audit.chain_sealing import seal_all
from portal.audit.chains import CHAINS
from portal.audit.heads import export_heads
from portal.audit.service import record_audit
from portal.cli.doctor import ALL_EXAMINATIONS, DATABASE_ROLE
from portal.core.actors import SYSTEM
from portal.core.db import db, transaction
from portal.core.ids import public_id
from portal.ops import diagnosis
from portal.ops.diagnosis import Diagnosis, Grade, examine
from portal.settings import Settings, get_settings
from tests.scene import build_scene


def found(check: str, settings: Settings | None = None) -> list[Diagnosis]:
    looked = examine(settings or get_settings(), ALL_EXAMINATIONS)
    return [one for one in looked if one.check == check]


def bad(check: str, settings: Settings | None = None) -> list[Diagnosis]:
    return [one for one in found(check, settings) if one.grade is not Grade.OK]


def test_a_sound_installation_has_no_failures_and_exits_with_0(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["doctor", "--json"])
    said = json.loads(result.output)
    assert [one for one in said["findings"] if one["grade"] == "failure"] == []
    assert (said["ok"], result.exit_code) == (True, 0)
    assert {one["check"] for one in said["findings"]} == {e.name for e in ALL_EXAMINATIONS}


@pytest.mark.parametrize(
    "wide",
    ["tolerance_bps = 501", "tolerance_minor = 100000001", "tolerance_bps = 10000, tolerance_minor = 0"],
)
def test_a_tolerance_that_is_wider_than_can_be_set_is_named(app: Flask, wide: str) -> None:
    with transaction():
        store_id = build_scene().store_id
    assert [one.grade for one in found("tolerances")] == [Grade.OK]
    db.session.execute(text(f"UPDATE store SET {wide} WHERE id = :id"), {"id": store_id})
    (one,) = bad("tolerances")
    assert one.grade is Grade.WARNING
    assert f"flask stores tolerance {public_id('st', store_id)} " in one.cure


def test_a_failure_is_told_with_its_cure_and_exits_with_1(app: Flask) -> None:
    db.session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    result = app.test_cli_runner().invoke(args=["doctor"])
    assert result.exit_code == 1
    assert "FAILURE  migrations" in result.output
    assert "-> Run: flask db upgrade" in result.output


def test_a_database_of_a_newer_version_is_not_migrated_backwards(app: Flask) -> None:
    db.session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    (one,) = bad("migrations")
    assert "does not know" in one.found
    assert "newer one" in one.cure


def test_a_missing_index_and_one_that_is_not_valid_are_named(app: Flask) -> None:
    db.session.execute(text("DROP INDEX ix_orders_status"))
    db.session.execute(
        text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_orders_customer_ip'::regclass")
    )
    assert {one.found.split()[0]: one.cure for one in bad("indexes")} == {
        "ix_orders_status": "Run: flask db upgrade; if it stays, restore the schema.",
        "ix_orders_customer_ip": "REINDEX INDEX CONCURRENTLY ix_orders_customer_ip;",
    }


def test_a_missing_extension_is_named(app: Flask) -> None:
    db.session.execute(text("DROP EXTENSION btree_gist CASCADE"))
    assert [one.cure for one in bad("extensions")] == ["As a superuser: CREATE EXTENSION btree_gist;"]


def test_values_of_a_key_that_is_not_configured_are_found(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction():
        scene = build_scene()
    scene.requisite(scene.trader())
    assert bad("key material") == []
    others = get_settings().model_copy(update={"field_keys": ("other:" + "x" * 40,)})
    monkeypatch.setattr("portal.core.crypto.get_settings", lambda: others)
    assert any("requisite.number_encrypted" in one.found for one in bad("key material"))


def test_heads_that_nobody_takes_away_and_a_missing_chain_key_are_told(app: Flask, tmp_path: Path) -> None:
    ours = get_settings().model_copy(update={"audit_heads_dir": tmp_path})
    with transaction():
        record_audit("thing.done", actor=SYSTEM)
    seal_all()
    assert "exported last: never" in bad("chains", ours)[0].found
    with transaction():
        export_heads(tmp_path)
    assert bad("chains", ours) == []
    (tmp_path / "audit-heads.jsonl").write_text("{")
    assert bad("chains", ours)[0].grade is Grade.FAILURE
    (tmp_path / "audit-heads.jsonl").unlink()
    others = get_settings().model_copy(update={"chain_keys": ("other:" + "x" * 40,)})
    assert "sealed with the key dev" in bad("chains", others)[0].found


@pytest.mark.proves("tried C11")
@pytest.mark.parametrize(("environment", "grade"), [("test", Grade.WARNING), ("production", Grade.FAILURE)])
def test_heads_that_are_exported_nowhere_are_told_and_in_production_fail(
    app: Flask, environment: str, grade: Grade
) -> None:
    (one,) = bad("chains", get_settings().model_copy(update={"environment": environment}))
    assert one.grade is grade
    assert "No heads are exported" in one.found
    assert "Set AUDIT_HEADS_DIR" in one.cure


@pytest.mark.proves("tried C11")
def test_chains_that_are_not_sealed_are_told(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal_all()
    with transaction():
        export_heads(tmp_path)
    ours = get_settings().model_copy(update={"audit_heads_dir": tmp_path})
    assert bad("chains", ours) == []
    with monkeypatch.context() as patch:
        patch.setattr("portal.audit.chain_links.clock", lambda: datetime.now(UTC) + timedelta(hours=2))
        silent = [one for one in bad("chains", ours) if "nothing was sealed for 2." in one.found]
    assert [one.grade for one in silent] == [Grade.WARNING] * len(CHAINS)
    with transaction():
        db.session.execute(text("SET LOCAL session_replication_role = replica"))
        db.session.execute(text("DELETE FROM chain_link WHERE chain = 'ledger'"))
        db.session.execute(text("SET LOCAL session_replication_role = origin"))
    (stopped,) = bad("chains", ours)
    assert stopped.grade is Grade.FAILURE
    assert "ledger: there is no link" in stopped.found


@pytest.mark.parametrize(
    ("offset_s", "grade"), [(0.0, Grade.OK), (2.0, Grade.WARNING), (-40.0, Grade.FAILURE)]
)
def test_clocks_that_differ_are_told_by_how_much(
    app: Flask, monkeypatch: pytest.MonkeyPatch, offset_s: float, grade: Grade
) -> None:
    ours: Callable[[], float] = diagnosis.time.time
    monkeypatch.setattr("portal.ops.diagnosis.time.time", lambda: ours() - offset_s)
    (one,) = found("clock skew")
    assert one.grade is grade


def test_a_silent_clock_is_a_warning(app: Flask) -> None:
    db.session.execute(text("DELETE FROM heartbeat"))
    assert "No clock has ever run" in bad("acting clock")[0].found
    beat = "INSERT INTO heartbeat (role, beat_at) VALUES ('clock', now() - :ago * interval '1 second')"
    db.session.execute(text(beat), {"ago": 120})
    assert "No clock has run for" in bad("acting clock")[0].found
    db.session.execute(text("UPDATE heartbeat SET beat_at = clock_timestamp()"))
    assert bad("acting clock") == []


def test_what_cannot_be_reached_is_a_failure_of_its_own_and_ends_nothing(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: Any, **_options: Any) -> Any:
        raise OSError("connection refused")

    (tmp_path / "file").write_text("not a folder")
    settings = get_settings().model_copy(
        update={
            "redis_url": SecretStr(f"unix://{tmp_path}/none.sock"),
            "uploads_dir": tmp_path / "file" / "uploads",
        }
    )
    monkeypatch.setattr(diagnosis, "hot", away)
    graded = {one.check: one.grade for one in examine(settings)}
    assert graded == {
        "configuration": Grade.OK,
        "database": Grade.FAILURE,
        "redis": Grade.FAILURE,
        "uploads": Grade.OK,
        "disk": Grade.FAILURE,
    }


def test_production_is_asked_for_more_than_what_it_needs_to_start(app: Flask) -> None:
    settings = get_settings().model_copy(update={"environment": "production", "smtp_host": None})
    assert "Set SMTP_HOST." in [one.cure for one in bad("configuration", settings)]
    # The tests' server does not wait for the disk: in production that is a failure.
    assert [one.grade for one in bad("durability", settings)] == [Grade.FAILURE]
    assert [one.grade for one in bad("durability")] == [Grade.WARNING]


@pytest.mark.proves("tried N11")
def test_nothing_that_the_example_of_a_configuration_says_itself_is_warned_of(app: Flask) -> None:
    """Only what it leaves empty for the operator: mail's server, and a key for backups."""
    example = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8")
    values = dict(line.split("=", 1) for line in example.splitlines() if line and not line.startswith("#"))
    values |= {name: secrets.token_urlsafe(32) for name in ("SECRET_KEY", "BLIND_INDEX_KEY")}
    values |= {name: f"one:{secrets.token_urlsafe(32)}" for name in ("FIELD_KEYS", "CHAIN_KEYS")}
    known = {name.lower(): value for name, value in values.items() if name.lower() in Settings.model_fields}
    settings = Settings.model_validate(known)
    assert settings.environment == "production"
    warned = {one.found for one in bad("configuration", settings)}
    assert warned == {"Mail waits and is never sent.", "There is no key for backups."}


@pytest.mark.proves("tried S21")
def test_who_is_connected_as_superuser_or_owner_is_told_in_production(app: Flask) -> None:
    production = get_settings().model_copy(update={"environment": "production"})
    assert bad("database role") == []
    (superuser,) = bad("database role", production)
    assert superuser.grade is Grade.WARNING
    assert "a superuser" in superuser.found
    assert "roles.sql" in superuser.cure
    db.session.execute(text("CREATE ROLE nostro_of_this_test"))
    db.session.execute(text("ALTER TABLE ledger_entry OWNER TO nostro_of_this_test"))
    db.session.execute(text("SET LOCAL ROLE nostro_of_this_test"))
    (owner,) = examine(production, (DATABASE_ROLE,))
    assert "the owner of the tables" in owner.found


@pytest.mark.proves("tried S21")
def test_a_missing_trigger_is_a_failure(app: Flask) -> None:
    assert bad("catalogue") == []
    db.session.execute(text("DROP TRIGGER audit_entry_stays ON audit_entry"))
    (one,) = bad("catalogue")
    assert one.grade is Grade.FAILURE
    assert one.found == "trigger audit_entry.audit_entry_stays is missing"
