"""Stores get the smaller tolerance where theirs was never decided."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade

from portal.core.actors import Actor, ActorKind
from portal.core.db import db, hot, transaction
from portal.merchants.tolerance import Tolerance, set_tolerance, tolerance_of
from tests import moulds
from tests.scene import USDT, build_scene

FOLDER = str(Path(__file__).parents[2] / "migrations")
FORMER, NOW = Tolerance(100, 5 * USDT), Tolerance(10, USDT)


@pytest.fixture
def own_app(worker: Any) -> Iterator[Flask]:
    app = worker.new_app(worker.new_database("tolerance"))
    with app.app_context():
        yield app
        moulds.forget()
        db.session.remove()
        db.engine.dispose()


def read(*stores: uuid.UUID) -> list[Tolerance]:
    with transaction():
        return [tolerance_of(store) for store in stores]


@pytest.mark.proves("tried S3")
def test_stores_that_were_given_the_former_tolerance_get_the_new_one_and_others_keep_theirs(
    own_app: Flask,
) -> None:
    downgrade(directory=FOLDER, revision="0041")
    moulds.forget()
    with transaction():
        given, other, decided, changed = (build_scene().store_id for _ in range(4))
        set_tolerance(other, Tolerance(50, 5 * USDT), "agreed", actor=Actor(ActorKind.OPS))
        set_tolerance(decided, FORMER, "agreed", actor=Actor(ActorKind.OPS))
    with transaction():
        # Past the house: its triggers did not see it.
        hot("ALTER TABLE store DISABLE TRIGGER note_changed_store")
        hot("UPDATE store SET name = 'Evil shop' WHERE id = %(id)s", {"id": changed})
        hot("ALTER TABLE store ENABLE TRIGGER note_changed_store")
    assert read(given, decided, changed) == [FORMER] * 3
    upgrade(directory=FOLDER)
    assert read(given, other, decided, changed) == [NOW, Tolerance(50, 5 * USDT), FORMER, FORMER]
    moulds.forget()
    with transaction():
        assert tolerance_of(build_scene().store_id) == NOW
    downgrade(directory=FOLDER, revision="0041")
    assert read(given, other, decided) == [FORMER, Tolerance(50, 5 * USDT), FORMER]
