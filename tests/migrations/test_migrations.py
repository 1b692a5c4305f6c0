"""The migrations: from the head down to nothing and up again, to the same database, which is what the models say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from flask import Flask
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import Connection, event, text

from portal.core.db import db

FOLDER = Path(__file__).parents[2] / "migrations"

# Everything a migration makes: columns, constraints, indexes, functions, triggers.
SCHEMA = """
SELECT 'column' AS kind, table_name || '.' || column_name AS name,
       concat_ws(' ', data_type, is_nullable, column_default, generation_expression) AS definition
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid)
  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f'
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
"""


@pytest.fixture(scope="module")
def _own_database(worker: Any) -> Iterator[Flask]:
    app = worker.new_app(worker.new_database("migrations"))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def own_app(_own_database: Flask) -> Iterator[Flask]:
    with _own_database.app_context():
        yield _own_database


def schema() -> dict[tuple[str, str], str]:
    with db.engine.connect() as connection:
        return {(row.kind, row.name): row.definition for row in connection.execute(text(SCHEMA))}


def test_down_to_nothing_and_up_again_gives_the_same_database(own_app: Flask) -> None:
    before = schema()
    check()  # the models say nothing else; a difference ends it
    downgrade(directory=str(FOLDER), revision="base")
    left = {name for _, name in schema() if not name.startswith("alembic_version")}
    assert left == set()
    upgrade(directory=str(FOLDER))
    assert schema() == before
    check()


def test_no_step_waits_for_a_lock_without_end(own_app: Flask) -> None:
    """While a migration waits for a lock, everybody queues behind it: each step's time to wait is bounded."""
    waits: list[int] = []

    def note(connection: Connection, cursor: Any, statement: str, *_rest: Any) -> None:
        if "alembic_version" in statement and statement.startswith(("INSERT", "UPDATE", "DELETE")):
            cursor.execute("SELECT setting::int FROM pg_settings WHERE name = 'lock_timeout'")
            waits.append(cursor.fetchone()[0])

    event.listen(db.engine, "before_cursor_execute", note)
    downgrade(directory=str(FOLDER), revision="base")
    upgrade(directory=str(FOLDER))
    event.remove(db.engine, "before_cursor_execute", note)
    assert len(waits) == 2 * len(list(_steps()))
    assert all(0 < milliseconds <= 10_000 for milliseconds in waits), waits


def _steps() -> Iterator[Script]:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    yield from ScriptDirectory.from_config(config).walk_revisions()


def test_there_is_one_head_and_each_step_says_what_it_does() -> None:
    steps = list(_steps())
    assert sum(step.is_head for step in steps) == 1
    for script in steps:
        assert script.doc
        assert Path(script.path).name.startswith(f"{script.revision}_")
