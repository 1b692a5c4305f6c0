"""Reference data of the test's own: a currency nobody else uses, so that nothing here meets other tests."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from flask import Flask, has_app_context
from sqlalchemy import update

from portal.core.db import db, transaction
from portal.reference.models import Currency, RatePair
from portal.reference.snapshot import forget_all


@pytest.fixture
def app(committing_app: Flask) -> Flask:
    """What is committed here stays: each test has rows of its own."""
    return committing_app


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    with nullcontext() if has_app_context() else app.app_context():
        forget_all()
        yield app
        db.session.rollback()
        forget_all()


@pytest.fixture
def seeded(context: Flask) -> Flask:
    """The databases of all tests hold what `flask seed reference` wrote."""
    return context


@pytest.fixture
def fiat(seeded: Flask) -> Iterator[str]:
    """The code of a new currency with a rate pair to USDT and no rate."""
    code = "T" + "".join(random.choices(string.ascii_uppercase, k=4))
    with transaction():
        db.session.add(Currency(code=code, exponent=2, name_en=code, name_ru=code))
        db.session.flush()
        db.session.add(RatePair(base="USDT", quote=code))
    forget_all()
    yield code
    db.session.rollback()
    with transaction():
        db.session.execute(update(RatePair).where(RatePair.quote == code).values(is_active=False))
