"""The scene of every test about orders."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.core.db import transaction
from tests.scene import Scene, build_scene


@pytest.fixture
def scene(app: Flask) -> Scene:
    with transaction():
        return build_scene()
