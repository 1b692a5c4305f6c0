"""The migrations: from the head down to nothing and up again, to the same database, which is what the models say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import text

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


@pytest.fixture
def own_app(worker: Any) -> Iterator[Flask]:
    app = worker.new_app(worker.new_database("migrations"))
    with app.app_context():
        yield app
        db.engine.dispose()


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


def test_there_is_one_head_and_each_step_says_what_it_does() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    scripts = ScriptDirectory.from_config(config)
    assert len(scripts.get_heads()) == 1
    for script in scripts.walk_revisions():
        assert script.doc
        assert Path(script.path).name.startswith(f"{script.revision}_")
