"""Accounts from before they were watched are noted by the upgrade, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade

from portal.audit.chain_proof import prove_watched
from portal.core.db import db, hot, transaction
from tests.scene import build_scene

FOLDER = str(Path(__file__).parents[2] / "migrations")


@pytest.fixture
def own_app(worker: Any) -> Iterator[Flask]:
    app = worker.new_app(worker.new_database("accounts"))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.mark.proves("tried C11")
def test_accounts_that_stand_are_noted_once_and_one_that_was_changed_since_stays_found(
    own_app: Flask,
) -> None:
    with transaction():
        build_scene().trader()
        moved = hot("SELECT min(id) AS id FROM ledger_account WHERE owner_kind = 'trader'")[0]["id"]
    downgrade(directory=FOLDER, revision="0042")
    with transaction():
        build_scene().trader()
        hot("SET LOCAL session_replication_role = replica")
        hot("UPDATE ledger_account SET owner_id = gen_random_uuid() WHERE id = %(id)s", {"id": moved})
    upgrade(directory=FOLDER)
    with transaction():
        notes = hot(
            "SELECT count(i.id) AS n FROM ledger_account a LEFT JOIN change_image i"
            " ON i.table_name = 'ledger_account' AND i.row_key = a.id::text GROUP BY a.id"
        )
        found = prove_watched()
    assert len(notes) > 2
    assert {row["n"] for row in notes} == {1}
    assert found is not None
    assert found.examples == (f"ledger_account {moved}: changed past the house",)
