"""Somebody with every right takes away what guards the rows, item by item, and the proof names it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.ledger.verification import run_checks
from portal.orders.proof import CATALOGUE_TITLE, prove_catalogue
from portal.settings import get_settings
from tests.roles.conftest import RolesDatabase
from tests.scene import build_scene

# What is done, and what the proof says of it.
TAMPERING = {
    "a dropped trigger": (
        "DROP TRIGGER ledger_posting_apply ON ledger_posting",
        "ledger_posting.ledger_posting_apply is missing",
    ),
    "a disabled trigger": (
        "ALTER TABLE orders DISABLE TRIGGER orders_frozen",
        "trigger orders.orders_frozen was changed",
    ),
    "a trigger for replicas alone": (
        "ALTER TABLE audit_entry ENABLE REPLICA TRIGGER audit_entry_stays",
        "trigger audit_entry.audit_entry_stays was changed",
    ),
    "all triggers of a table off": (
        "ALTER TABLE password_reset DISABLE TRIGGER ALL",
        "constraint password_reset.fk_password_reset_user_id was changed",
    ),
    "a replaced function": (
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end'",
        "function refuse_change() was changed",
    ),
    "a function with a setting": (
        "ALTER FUNCTION order_status_moves() SET search_path = elsewhere",
        "function order_status_moves() was changed",
    ),
    "a function beside ours": (
        "CREATE FUNCTION ledger_post(p text) RETURNS int LANGUAGE sql RETURN 1",
        "function ledger_post(p text) is not of this release",
    ),
    "a trigger beside ours": (
        "CREATE TRIGGER a_skip BEFORE INSERT ON audit_entry FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger audit_entry.a_skip is not of this release",
    ),
    "a rule": (
        "CREATE RULE nothing AS ON INSERT TO audit_entry DO INSTEAD NOTHING",
        "rule audit_entry.nothing is not of this release",
    ),
    "a dropped check": (
        "ALTER TABLE chain_link DROP CONSTRAINT ck_chain_link_macs",
        "constraint chain_link.ck_chain_link_macs is missing",
    ),
    "a check of another rule": (
        "ALTER TABLE chain_link DROP CONSTRAINT ck_chain_link_macs, ADD CONSTRAINT ck_chain_link_macs CHECK (true)",
        "constraint chain_link.ck_chain_link_macs was changed",
    ),
    "a dropped foreign key": (
        "ALTER TABLE password_reset DROP CONSTRAINT fk_password_reset_user_id",
        "constraint password_reset.fk_password_reset_user_id is missing",
    ),
    "a dropped unique index": (
        "DROP INDEX uq_webhook_endpoint_store_mode",
        "unique index uq_webhook_endpoint_store_mode is missing",
    ),
    "a column that may be empty": (
        "ALTER TABLE orders ALTER COLUMN rate_micros DROP NOT NULL",
        "column orders.rate_micros was changed",
    ),
    "a column with another default": (
        "ALTER TABLE change_image ALTER COLUMN at SET DEFAULT 'epoch'",
        "column change_image.at was changed",
    ),
    "a table without a log": ("ALTER TABLE heartbeat SET UNLOGGED", "table heartbeat was changed"),
    "rows that hide": (
        "ALTER TABLE audit_entry ENABLE ROW LEVEL SECURITY",
        "table audit_entry was changed",
    ),
    "triggers off for everybody": (
        "ALTER ROLE {writer} SET session_replication_role = 'replica'",
        "begin with session_replication_role=replica",
    ),
    "a table in front of ours": (
        "CREATE SCHEMA elsewhere CREATE TABLE ledger_entry (id int)",
        "elsewhere.ledger_entry has the name of one of ours",
    ),
    "a writer who may delete history": (
        "GRANT DELETE ON order_event TO {writer}",
        "_writer may DELETE on order_event",
    ),
    "a writer who may move floors": (
        "GRANT UPDATE (floor) ON ledger_account TO {writer}",
        "_writer may UPDATE (floor) on ledger_account",
    ),
    "everybody may write": ("GRANT INSERT ON deposit TO PUBLIC", "PUBLIC may INSERT on deposit"),
    "a reader who may write": ("GRANT UPDATE ON orders TO {reader}", "_reader may UPDATE on orders"),
    "a writer who may not seal": (
        "REVOKE INSERT ON audit_seal FROM {writer}",
        "_writer may not INSERT on audit_seal",
    ),
    "a writer of every power": ("ALTER ROLE {writer} SUPERUSER", "_writer is a superuser"),
    "a writer who owns": ("GRANT pg_write_all_data TO {writer}", "_writer is a member of pg_write_all_data"),
    "a writer with temporary tables": (
        "GRANT TEMPORARY ON DATABASE {database} TO {writer}",
        "_writer is allowed to make temporary tables",
    ),
    "a writer who may switch triggers off": (
        "GRANT SET ON PARAMETER session_replication_role TO {writer}",
        "_writer is allowed to switch triggers off",
    ),
    "a database of another release": (
        "UPDATE alembic_version SET version_num = '0001'",
        "the database is at 0001",
    ),
}


@pytest.fixture
def told(
    app: Flask, database: RolesDatabase, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """The isolated app's superuser, whose changes are undone; the settings name the roles."""
    monkeypatch.setenv("DATABASE_WRITER_ROLE", database.roles.writer)
    monkeypatch.setenv("DATABASE_READER_ROLE", database.roles.reader)
    get_settings.cache_clear()
    from portal.core.database_rights import give_rights
    from portal.core.db import db
    from portal.table_rights import writer_rights

    driver = db.session.connection().connection.dbapi_connection
    assert driver is not None
    give_rights(driver, database.roles, writer_rights)  # type: ignore[arg-type]
    yield driver  # type: ignore[misc]
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.mark.proves("tried S21")
def test_a_sound_database_is_that_of_the_release(told: psycopg.Connection) -> None:
    assert prove_catalogue() is None


@pytest.mark.proves("tried S21")
@pytest.mark.proves("tried C11")
@pytest.mark.parametrize("what", TAMPERING)
def test_what_guards_the_rows_is_missed_when_it_is_gone(
    told: psycopg.Connection, database: RolesDatabase, what: str
) -> None:
    done, said = TAMPERING[what]
    names = {"writer": database.roles.writer, "reader": database.roles.reader}
    hot(done.format(**names, database=told.info.dbname))
    found = prove_catalogue()
    assert found is not None
    assert found.check == CATALOGUE_TITLE
    assert [line for line in found.examples if said in line], found.examples


@pytest.mark.proves("tried C11")
def test_a_lowered_floor_is_seen(app: Flask) -> None:
    with transaction():
        scene = build_scene()
    scene.trader()
    hot("UPDATE ledger_account SET floor = -1000 WHERE floor = 0 AND owner_kind = 'trader'")
    assert "every account has the floor of its kind" in {found.check for found in run_checks()}
