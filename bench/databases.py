"""Databases of one run: made, copied and dropped on the bench's own server."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import psycopg


@dataclass
class Databases:
    """Every database that was made is dropped by drop_all()."""

    admin: str  # a libpq URL of the database `postgres`
    run: str = field(default_factory=lambda: os.urandom(4).hex())
    made: list[str] = field(default_factory=list)

    def create(self, name: str, *, like: str | None = None) -> str:
        """The URL of a new database, empty or a copy of one that nobody is connected to."""
        full = f"bench_{self.run}_{name}"
        template = f'TEMPLATE "bench_{self.run}_{like}" STRATEGY file_copy' if like else ""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{full}" {template}')
        self.made.append(full)
        return self.admin.replace("/postgres?", f"/{full}?")

    def drop_all(self) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            for name in self.made:
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.made.clear()


def postmaster_of(admin: str) -> int:
    """The pid of the server process, which is the parent of every backend."""
    with psycopg.connect(admin) as connection:
        row = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
    assert row is not None
    return int(str(row[0]).splitlines()[0])


def log_of(admin: str) -> Path:
    """Where the embedded server writes its log: beside its data."""
    with psycopg.connect(admin) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    return Path(row[0]).parent / "postgres.log"
