"""Every column of a watched table is watched, or is excused by its name with a reason."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.audit.images import EXCUSED, IN_CHAINS, WATCHED, Watched
from portal.core.db import hot, transaction


@pytest.mark.proves("tried C11")
@pytest.mark.parametrize("watched", [w for w in WATCHED if w.table not in IN_CHAINS], ids=lambda w: w.table)
def test_each_column_of_a_watched_table_is_watched_or_excused(app: Flask, watched: Watched) -> None:
    with transaction():
        columns = hot(
            "SELECT attname FROM pg_attribute WHERE attrelid = %(name)s::regclass AND attnum > 0 AND NOT attisdropped",
            {"name": watched.table},
        )
    seen = set(watched.key.split(",")) | set(watched.columns.split(","))
    excused = EXCUSED.get(watched.table, {})
    assert not seen & excused.keys(), "watched and excused"
    assert {row["attname"] for row in columns} == seen | excused.keys()
    assert all(reason.strip() for reason in excused.values())


def test_no_table_is_excused_that_is_not_watched() -> None:
    assert {watched.table for watched in WATCHED} >= EXCUSED.keys() | IN_CHAINS
