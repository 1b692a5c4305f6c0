"""What the release says that its database is: the file is what the migrations make, and each table has its rights."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from flask import Flask

from portal.core.db import Base, transaction
from portal.core.schema import catalogue
from portal.table_rights import HISTORY, KEPT, ONE_COLUMN, PASSING, READ, TABLES

PORTAL = Path(catalogue.__file__).parents[2]


@pytest.mark.proves("tried S21")
def test_the_committed_catalogue_is_what_the_migrations_make(app: Flask) -> None:
    with transaction():
        made = catalogue.read_catalogue()
    assert made == catalogue.shipped_catalogue(), "run: make catalogue"
    assert catalogue.FILE.read_text(encoding="utf-8") == catalogue.as_file(made)


@pytest.mark.proves("tried S21")
def test_every_table_is_in_one_list_of_rights() -> None:
    listed = Counter(name for names in (HISTORY, KEPT, PASSING, READ, ONE_COLUMN) for name in names)
    assert [name for name, times in listed.items() if times > 1] == []
    assert set(Base.metadata.tables) | READ == TABLES


@pytest.mark.proves("tried S21")
def test_a_table_that_refuses_changes_is_listed_as_history() -> None:
    """Its trigger says so for every role; the rights say it once more, for whoever can't switch triggers off."""
    refusing = {
        match[1]
        for name, definition in catalogue.shipped_catalogue().items()
        if (match := re.match(r"trigger (\w+)\.", name))
        and re.search(
            r"BEFORE (DELETE OR UPDATE|UPDATE OR DELETE) ON .* FOR EACH ROW EXECUTE FUNCTION refuse_change",
            definition,
        )
    }
    assert refusing
    assert refusing - HISTORY == set()


@pytest.mark.proves("tried S21")
def test_no_statement_of_ours_needs_what_the_writer_may_not() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PORTAL.rglob("*.py"))}
    deletes = {name for text in texts.values() for name in re.findall(r"DELETE FROM (\w+)", text)}
    updates = {name for text in texts.values() for name in re.findall(r"UPDATE (\w+)(?: \w+)? SET", text)}
    assert deletes
    assert updates
    assert deletes - PASSING == set()
    assert updates - PASSING - KEPT == set()
