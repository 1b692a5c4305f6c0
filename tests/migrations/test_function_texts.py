"""The code of the database stands once: functions, their record types and triggers as text in portal/*/sql, beside the package that they belong to.

What else there is, is made from something: the functions of a table's rules from its model, the triggers that note
changes from the list of watched columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask

from portal.audit.images import WATCHED, Watched
from portal.core.db import Base, db
from portal.core.schema.row_rules import function_of, has_one_check

PORTAL = Path(__file__).parents[2] / "portal"
# What belongs to no package comes first: the triggers of all others call it.
FILES = sorted(PORTAL.glob("*/sql/*.sql"), key=lambda path: (path.parts[-3] != "core", path))

_CODE = """
SELECT p.oid::regprocedure::text AS name, pg_get_functiondef(p.oid) AS definition FROM pg_proc p
 WHERE p.pronamespace = 'public'::regnamespace
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT format('type %s', c.relname), (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod)), E'\n' ORDER BY a.attnum)
                                        FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped)
  FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'c'
UNION ALL
SELECT format('%s on %s', tgname, tgrelid::regclass), pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
"""
_NOTES = """
create trigger note_new_{table} after insert or delete on {table} for each row execute function note_change('{key}', '{columns}');
"""
_NOTES_CHANGES = """
create trigger note_changed_{table} after update of {columns} on {table}
  for each row when (({old}) is distinct from ({new})) execute function note_change('{key}', '{columns}');
"""


def code_of(cursor: psycopg.Cursor[Any]) -> dict[str, str]:
    """By name the definition of each function and trigger."""
    return dict(cursor.execute(_CODE).fetchall())


def notes_of(watched: Watched) -> str:
    """The triggers of a watched table."""
    text = _NOTES_CHANGES if watched.is_born_empty else _NOTES + _NOTES_CHANGES
    old, new = (", ".join(f"{row}.{name}" for name in watched.columns.split(",")) for row in ("old", "new"))
    return text.format(table=watched.table, key=watched.key, columns=watched.columns, old=old, new=new)


@pytest.fixture
def cursor(app: Flask) -> Iterator[psycopg.Cursor[Any]]:
    """On a migrated database, in a transaction that is rolled back."""
    with db.session.connection().connection.cursor() as cursor:
        yield cursor


def test_each_function_and_trigger_stands_in_one_file_as_the_migrations_make_it(
    cursor: psycopg.Cursor[Any],
) -> None:
    migrated = code_of(cursor)
    for name in [name for name in migrated if name.endswith(")")]:
        cursor.execute(f"DROP FUNCTION {name} CASCADE".encode())
    for name in [name for name in migrated if name.startswith("type ")]:
        cursor.execute(f"DROP {name}".encode())
    assert code_of(cursor) == {}
    for path in FILES:
        # A second text of the same thing is refused instead of taken.
        text = re.sub(r"^create or replace ", "create ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        cursor.execute(text.encode())
    for table in filter(has_one_check, Base.metadata.tables.values()):
        cursor.execute(function_of(table).encode())
    for watched in WATCHED:
        cursor.execute(notes_of(watched).encode())
    written = code_of(cursor)
    assert migrated.keys() - written.keys() == set(), "stands in no file"
    assert written.keys() - migrated.keys() == set(), "no migration makes it"
    differ = [
        line
        for name in sorted(migrated)
        for line in unified_diff(
            written[name].splitlines(), migrated[name].splitlines(), f"{name} in its file", "made by the migrations",
            lineterm="",
        )
    ]  # fmt: skip
    assert not differ, "\n".join(differ)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PORTAL)))
def test_a_file_has_whole_statements_that_can_be_copied_into_a_migration(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    code = re.sub(r"^--.*$", "", re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    statements = [statement.split() for statement in code.split(";") if statement.strip()]
    begin = {"create or replace", "create constraint trigger", "create type"}
    assert {" ".join(words[: 2 if words[1] == "type" else 3]) for words in statements} <= begin
