"""Sign-in counts and pauses by the database's clock: each attempt is a transaction that really ends."""

from __future__ import annotations

import pytest
from flask import Flask


@pytest.fixture
def app(committing_app: Flask) -> Flask:
    return committing_app
