"""A database whose tables belong to one role, an app connected as the writer, and connections as each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from flask import Flask
from psycopg import sql

from portal.core.schema.rights import Roles, give_rights
from portal.ops.postgres_programs import conninfo_of
from portal.table_rights import writer_rights
from tests.conftest import forget_what_is_held

PASSWORD = "nobody-needs-to-know-it"


def as_role(url: str, role: str) -> str:
    """The same database as another role; the embedded server asks for no password."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{role}:{quote(PASSWORD)}@{where}{parts.path}{query}"


@dataclass
class RolesDatabase:
    """Addresses of one database: as who made it, and as each of the two roles."""

    url: str
    roles: Roles

    def connect(self, role: str | None = None) -> psycopg.Connection[Any]:
        url = as_role(self.url, role) if role else self.url
        return psycopg.connect(conninfo_of(url), autocommit=True)


@pytest.fixture(scope="session")
def roles(worker: Any) -> Iterator[Roles]:
    """Roles belong to the whole server: these have names that no other run has, and go with it."""
    made = Roles(f"nostro_{worker.run}_{worker.name}_writer", f"nostro_{worker.run}_{worker.name}_reader")
    names = (made.writer, made.reader)
    with psycopg.connect(conninfo_of(worker.database_url), autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), PASSWORD))
    yield made
    with psycopg.connect(conninfo_of(worker.database_url), autocommit=True) as admin:
        for name in names:
            # Their rights in databases that are gone are gone with them.
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def database(worker: Any, roles: Roles) -> Iterator[RolesDatabase]:
    from tests import servers as running

    found = RolesDatabase(worker.new_database("roles"), roles)
    with found.connect() as connection, connection.transaction():
        assert give_rights(connection, roles, writer_rights)
    yield found
    running.drop_databases(worker.database_url, worker.name_of("roles"))


@pytest.fixture(scope="module")
def _writer_app(worker: Any, database: RolesDatabase) -> Iterator[Flask]:
    from portal.core.db import db

    app = worker.new_app(as_role(database.url, database.roles.writer))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def _named(database: RolesDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings name the roles, and the database as the writer."""
    from portal.settings import get_settings

    monkeypatch.setenv("DATABASE_URL", as_role(database.url, database.roles.writer))
    monkeypatch.setenv("DATABASE_WRITER_ROLE", database.roles.writer)
    monkeypatch.setenv("DATABASE_READER_ROLE", database.roles.reader)
    get_settings.cache_clear()
    forget_what_is_held()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()
    forget_what_is_held()


@pytest.fixture
def writer_app(_writer_app: Flask, _named: None) -> Iterator[Flask]:
    """The application as it serves: connected as a role that owns nothing. Commits for real."""
    from portal.core.db import db

    with _writer_app.app_context():
        yield _writer_app
        db.session.rollback()
