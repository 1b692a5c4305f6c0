"""API keys from before they were keyed go on working, and stay watched as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade

from portal.audit.chain_proof import prove_watched
from portal.core.db import db, hot, transaction
from portal.core.modes import Mode
from portal.identity.models import Scope
from portal.identity.tokens.api_keys import find_key, issue_api_key
from tests.scene import build_scene

FOLDER = str(Path(__file__).parents[2] / "migrations")


@pytest.fixture
def own_app(worker: Any) -> Iterator[Flask]:
    app = worker.new_app(worker.new_database("keyed"))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.mark.proves("tried A6")
def test_a_key_that_stood_before_the_upgrade_works_after_it(own_app: Flask) -> None:
    with transaction():
        store_id = build_scene().store_id
        made = [
            issue_api_key(store_id, Mode.LIVE, "all", allowed_networks=["2001:db8::/32"]),
            issue_api_key(store_id, Mode.TEST, "two", [Scope.ORDERS_WRITE, Scope.BALANCES_READ]),
        ]
        changed, _ = issue_api_key(store_id, Mode.TEST, "changed past the house", [Scope.BALANCES_READ])
    downgrade(directory=FOLDER, revision="0047")
    with transaction():
        hot("SET LOCAL session_replication_role = replica")
        hot("UPDATE api_key SET name = 'other' WHERE id = %(id)s", {"id": changed.id})
    upgrade(directory=FOLDER)
    for key, secret in made:
        found = find_key(secret, 0)
        assert found is not None
        assert (found.id, found.store_id, found.mode.value) == (key.id, store_id, key.mode)
    with transaction():
        found_past = prove_watched()
    assert found_past is not None
    assert found_past.examples == (f"api_key {changed.id}: changed past the house",)
