"""The scene of every test about orders, and the attacker of those about exposure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.core.modes import Mode
from portal.identity.tokens.api_keys import issue_api_key
from portal.ledger.integrity import run_checks
from portal.orders.integrity.checks import CHECKS
from portal.reference import configuration as config
from portal.reference import setting_changes
from tests.orders.attacker import Attacker
from tests.scene import Scene, build_scene


@pytest.fixture
def scene(app: Flask) -> Scene:
    with transaction():
        return build_scene()


@pytest.fixture
def attacker(committed_db: Flask) -> Iterator[Attacker]:
    """A store among others, in a house whose only traders are those that the test makes, with limits as shipped."""
    with transaction():
        scene, _another = build_scene(), build_scene()
        _, key = issue_api_key(scene.store_id, Mode.LIVE, "stolen")
    yield Attacker(committed_db, scene, key)
    with transaction():
        assert run_checks(CHECKS) == []
        hot("UPDATE requisite SET payin_on = false, payout_on = false")
        for key in [key for key in config.REGISTRY if key.startswith("exposure_")]:
            setting_changes.reset(key, SYSTEM)
