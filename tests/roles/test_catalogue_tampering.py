"""Somebody with every right takes away what guards the rows, item by item, and the proof names it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from portal.core.db import transaction
from portal.ledger.integrity import run_checks
from portal.orders.integrity.proof import CATALOGUE_TITLE, prove_catalogue
from portal.settings import get_settings
from tests.roles.conftest import RolesDatabase
from tests.roles.tampering import TAMPERING
from tests.rows import change
from tests.scene import build_scene


@pytest.fixture
def told(
    app: Flask, database: RolesDatabase, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """The isolated app's superuser, whose changes are undone; the settings name the roles."""
    monkeypatch.setenv("DATABASE_WRITER_ROLE", database.roles.writer)
    monkeypatch.setenv("DATABASE_READER_ROLE", database.roles.reader)
    get_settings.cache_clear()
    from portal.core.db import db
    from portal.core.schema.rights import give_rights
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
    change(done.format(**names, database=told.info.dbname))
    found = prove_catalogue()
    assert found is not None
    assert found.check == CATALOGUE_TITLE
    assert [line for line in found.examples if said in line], found.examples


@pytest.mark.proves("tried C11")
def test_a_lowered_floor_is_seen(app: Flask) -> None:
    with transaction():
        scene = build_scene()
    scene.trader()
    change("UPDATE ledger_account SET floor = -1000 WHERE floor = 0 AND owner_kind = 'trader'")
    assert "every account has the floor of its kind" in {found.check for found in run_checks()}
