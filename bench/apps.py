"""Our application inside this process, on a database of choice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from pydantic import SecretStr


@contextmanager
def app_for(dsn: str) -> Iterator[Flask]:
    """Its connections are closed at the end, so that the database can be copied or dropped."""
    from portal import create_app
    from portal.core.db import db
    from portal.settings import get_settings

    url = dsn.replace("postgresql://", "postgresql+psycopg://")
    app = create_app(get_settings().model_copy(update={"database_url": SecretStr(url)}))
    try:
        yield app
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
