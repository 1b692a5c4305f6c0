"""Desks and browsers for tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from portal.core.db import db
from tests.web.desk import Browser, Desk, open_desk


@pytest.fixture
def in_context(app: Flask) -> Iterator[Flask]:
    """For what a test looks up itself; every request pushes a context of its own on top."""
    with app.app_context():
        yield app
        db.session.rollback()


@pytest.fixture
def desk(in_context: Flask) -> Desk:
    """Tara, signed in, with one card and a deposit of 10,000 USDT."""
    return open_desk(in_context)


@pytest.fixture
def stranger(in_context: Flask) -> Desk:
    """Omar: another trader with a store of his own."""
    return open_desk(in_context)


@pytest.fixture
def browser(in_context: Flask) -> Browser:
    """Nobody has signed in with it."""
    return Browser(in_context.test_client())
