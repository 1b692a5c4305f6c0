"""A backup into a database and a folder that were not there before, or are empty: nothing that runs is touched."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from portal.ops.backup import BackupFailed, Contents, DumpReader, Tell, count_rows, read_backup
from portal.ops.postgres_programs import conninfo_of

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
# Every server has it; the one that DATABASE_URL names is what may be missing.
MAINTENANCE_DATABASE = "postgres"
_HOLDS_SOMETHING = """
SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')),
       pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()
"""


class RestoreSink(DumpReader):
    """The dump into a database, the files into a folder of their own."""

    def __init__(self, database_url: str, uploads: Path) -> None:
        super().__init__(database_url)
        self._uploads = uploads

    def file(self, key: str, content: bytes) -> None:
        folder = self._uploads / key[:2]
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder / key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


class CheckSink(DumpReader):
    """Everything read and decompressed, nothing kept."""


def verify_backup(source: Path, secret: bytes, tell: Tell) -> Contents:
    """Decrypt all of it and let pg_restore read all of the dump. Raises SealBroken, BackupFailed."""
    return _read_into(CheckSink(), source, secret, tell)


def _read_into(sink: DumpReader, source: Path, secret: bytes, tell: Tell) -> Contents:
    try:
        contents = read_backup(source, secret, sink, tell)
        sink.finish()
    finally:
        sink.abandon()
    return contents


def database_beside(database_url: str, name: str) -> str:
    """The same server, another database. Raises BackupFailed for a name that needs quotes."""
    if not _NAME.fullmatch(name):
        raise BackupFailed("A database's name is of small letters, digits and _, and begins with a letter.")
    parts = urlsplit(database_url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}/{name}{query}"


def restore_backup(
    source: Path, secret: bytes, server_url: str, name: str, uploads: Path, tell: Tell
) -> tuple[str, Contents]:
    """Make the database `name` on the server of `server_url` and the folder `uploads`, and fill them.

    Gives the new database's address. An empty database or folder of that name is filled; what holds something is
    refused. The database of `server_url` need not exist. What was made is removed again when the backup turns out to
    be broken. Raises BackupFailed, SealBroken, ProgramsMissing, psycopg.Error.
    """
    target = database_beside(server_url, name)
    if uploads.exists() and (not uploads.is_dir() or any(uploads.iterdir())):
        raise BackupFailed(f"{uploads} exists already: name a new folder for the files.")
    is_made = _create_database(server_url, name)
    try:
        uploads.mkdir(parents=True, mode=0o700, exist_ok=True)
        contents = _read_into(RestoreSink(target, uploads), source, secret, tell)
        with psycopg.connect(conninfo_of(target), autocommit=True) as connection:
            connection.execute("ANALYZE")
    except BaseException:
        shutil.rmtree(uploads, ignore_errors=True)
        if is_made:  # into one that was there, pg_restore writes in one transaction: it is empty again
            _drop_database(server_url, name)
        raise
    return target, contents


@contextmanager
def _on_server(server_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that may make databases, through the one of the address, or without it through `postgres`."""
    try:
        connection = psycopg.connect(conninfo_of(server_url), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as refused:
        beside = conninfo_of(database_beside(server_url, MAINTENANCE_DATABASE))
        try:
            connection = psycopg.connect(beside, autocommit=True, connect_timeout=10)
        except psycopg.OperationalError:
            raise refused from None
    with connection:
        yield connection


def _create_database(server_url: str, name: str) -> bool:
    """False when there was one already, and it is empty."""
    with _on_server(server_url) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if known is not None:
            _refuse_unless_empty(database_beside(server_url, name), name)
            return False
        try:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
            )
        except psycopg.errors.InsufficientPrivilege:
            raise BackupFailed(
                "This database user may not create databases: ALTER ROLE ... CREATEDB."
            ) from None
    return True


def _refuse_unless_empty(database_url: str, name: str) -> None:
    with psycopg.connect(conninfo_of(database_url), connect_timeout=10) as connection:
        holds_something, encoding = connection.execute(_HOLDS_SOMETHING).fetchone() or (True, "")
    if holds_something:
        raise BackupFailed(f"The database {name} exists already: a backup is restored into a new one.")
    if encoding != "UTF8":
        raise BackupFailed(f"The database {name} is empty, but its encoding is {encoding}: drop it first.")


def _drop_database(server_url: str, name: str) -> None:
    with _on_server(server_url) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def differences(database_url: str, contents: Contents, uploads: Path) -> list[str]:
    """Where the restored copy differs from the manifest: rows of tables, files that rows name."""
    with psycopg.connect(conninfo_of(database_url), connect_timeout=10) as connection:
        now = count_rows(connection)
    then = contents.manifest.rows
    found = [
        f"{table} had {then.get(table, 0)} rows and has {now.get(table, 0)}"
        for table in sorted(then.keys() | now.keys())
        if then.get(table) != now.get(table)
    ]
    files = sum(1 for path in uploads.glob("??/*") if path.is_file())
    if files != contents.files:
        found.append(f"there were {contents.files} files and there are {files}")
    return found
