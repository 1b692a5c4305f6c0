"""`flask db downgrade` on a database with orders."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text

from portal.core.db import db, transaction
from tests.conftest import forget_what_is_held
from tests.scene import build_scene

_numbers = itertools.count(1)
FOLDER = str(Path(__file__).parents[2] / "migrations")


@pytest.fixture
def own_app(worker: Any) -> Iterator[Flask]:
    """On a migrated database of its own."""
    app = worker.new_app(worker.new_database(f"downgrade{next(_numbers)}"))
    with app.app_context():
        forget_what_is_held()
        yield app
        db.session.remove()
        db.engine.dispose()
    forget_what_is_held()


def have_an_order() -> None:
    with transaction():
        scene = build_scene()
    scene.requisite(scene.trader())
    scene.payin()


def go_back(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["db", "downgrade", "-d", FOLDER, *words])


def kept() -> tuple[str, int]:
    """The schema's number and how many orders there are."""
    with db.engine.connect() as connection:
        number = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        return str(number), int(connection.execute(text("SELECT count(*) FROM orders")).scalar_one())


@pytest.mark.proves("tried N9")
def test_going_back_on_a_database_with_orders_is_told_twice_or_refused(own_app: Flask) -> None:
    have_an_order()
    before = kept()
    assert before[1] == 1
    name = db.engine.url.database
    for words in ((), ("--lose-data",), ("--database", str(name)), ("--lose-data", "--database", "another")):
        answer = go_back(own_app, *words)
        assert answer.exit_code == 1
        assert "has orders" in answer.output
        assert f"--lose-data --database {name}" in answer.output
        assert kept() == before
    assert go_back(own_app, "--lose-data", "--database", str(name)).exit_code == 0
    assert kept()[0] < before[0]


def test_an_empty_database_goes_back_at_the_first_word(own_app: Flask) -> None:
    before = kept()
    assert go_back(own_app).exit_code == 0
    assert kept()[0] < before[0]


def test_what_is_only_printed_is_not_asked_about(own_app: Flask) -> None:
    have_an_order()
    before = kept()
    assert "has orders" not in go_back(own_app, "--sql", "head:-1").output
    assert kept() == before
