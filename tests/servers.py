"""The servers of one test run and the databases of one worker.

One PostgreSQL and one Valkey serve all workers of a run; both are embedded unless DATABASE_URL and REDIS_URL
are set. Names are random, so that runs side by side never meet.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

from portal.embedded import EmbeddedPostgres, EmbeddedRedis
from portal.embedded.place import forget
from portal.settings import DEVELOPMENT_SECRET

ROOT = Path(__file__).parents[1]
# Nothing of a test outlives it: what durability costs is for the demo and the bench.
NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
}
REDIS_DATABASES = 64
TEMPLATE = "template.made"
TEMPLATE_WAIT_S = 100
_COMMANDS = """
from wsgi import app
for arguments in (["db", "upgrade"], ["seed", "reference"]):
    done = app.test_cli_runner(catch_exceptions=False).invoke(args=arguments)
    if done.exit_code:
        raise SystemExit(f"flask {' '.join(arguments)} failed:\\n{done.output}")
"""
# The environment wins over .env and over what a demo beside us has written, here and in child processes.
PLAIN_SETTINGS = {
    "ENVIRONMENT": "test",
    "PUBLIC_URL": "http://localhost:8000",
    "SECRET_KEY": DEVELOPMENT_SECRET,
    "FIELD_KEYS": f"dev:{DEVELOPMENT_SECRET}",
    "BLIND_INDEX_KEY": DEVELOPMENT_SECRET,
    "CHAIN_KEYS": f"dev:{DEVELOPMENT_SECRET}",
    "LOG_LEVEL": "INFO",
    "LOG_FORMAT": "off",
    "TRUSTED_PROXIES": "0",
    "DB_POOL_SIZE": "4",
    "DATABASE_OWNER_URL": "",
    "WEBHOOKS_ALLOW_HTTP": "false",
    "EGRESS_PORTS": "443",
    "EGRESS_ALLOW_NETWORKS": "",
}
# An installation that others reach, for tests of what is so over https.
PUBLIC_SETTINGS = {
    "PUBLIC_URL": "https://pay.example.com",
    "SECRET_KEY": "8qYH0vJm2rWkTzXcLpB5dNsGf7uEaK3i",
    "FIELD_KEYS": "own:V4bQyRw9SjZ1mHxTn6cDgLkPf2uEoA8i",
    "BLIND_INDEX_KEY": "kC7tWn3ZrYb0MxQpJd5vGhLs9fUaE2oi",
    "CHAIN_KEYS": "own:Zt4sXy8LqVb2HnRk6wPdGm9JcUf3oEaT",
}
CLAIM = "nostro-test-run"


@dataclass
class Servers:
    """Where a run's servers are, and the migrated database that every other one is copied from."""

    database_url: str
    redis_url: str
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="nostro-test-")))
    postgres: EmbeddedPostgres | None = None
    redis: EmbeddedRedis | None = None
    preparing: threading.Thread | None = None

    @property
    def template(self) -> str:
        return f"nostro_test_{self.run}_template"

    def prepare(self) -> None:
        """Make the template and say in the folder that it is there, or why not: each worker reads it."""
        try:
            create_database(self.database_url, self.template)
            migrate_and_seed(database_url_of(self.database_url, self.template), self.redis_url)
            said = ""
        except Exception as problem:
            said = f"The template could not be made: {problem}"
        draft = self.folder / "template.draft"
        draft.write_text(said, encoding="utf-8")
        draft.rename(self.folder / TEMPLATE)

    def stop(self) -> None:
        """Drop every database of this run, or the servers with all they hold."""
        try:
            if self.preparing is not None:
                self.preparing.join()
            self._stop_postgres()
        finally:
            if self.redis is not None:
                self.redis.stop()
                forget(self.folder / "redis")
            shutil.rmtree(self.folder, ignore_errors=True)

    def _stop_postgres(self) -> None:
        if self.postgres is not None:
            self.postgres.stop()
            forget(self.folder / "postgres")
        else:
            drop_databases(self.database_url, f"nostro_test_{self.run}_")


def start_servers() -> Servers:
    """Start what the environment does not name, and prepare the template."""
    servers = Servers(os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", ""))
    # The embedded server's own user has to pass through; what is inside is private.
    servers.folder.chmod(0o711)
    try:
        if not servers.database_url:
            servers.postgres = EmbeddedPostgres(servers.folder / "postgres", gucs=NOT_DURABLE)
            servers.database_url = servers.postgres.start()
        if not servers.redis_url:
            servers.redis = EmbeddedRedis(servers.folder / "redis", databases=REDIS_DATABASES)
            servers.redis_url = servers.redis.start()
    except BaseException:
        servers.stop()
        raise
    # Meanwhile the workers import the house and collect the tests.
    servers.preparing = threading.Thread(target=servers.prepare)
    servers.preparing.start()
    return servers


def wait_for_template(folder: Path) -> None:
    """Raises RuntimeError when it could not be made."""
    until = time.monotonic() + TEMPLATE_WAIT_S
    while not (folder / TEMPLATE).exists():
        if time.monotonic() > until:
            raise RuntimeError(f"There is no template after {TEMPLATE_WAIT_S} s.")
        time.sleep(0.05)
    if said := (folder / TEMPLATE).read_text(encoding="utf-8"):
        raise RuntimeError(said)


def migrate_and_seed(database_url: str, redis_url: str) -> None:
    """Migrate from empty and seed the reference data by an operator's commands, in one process."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ENVIRONMENT": "test",
        "LOG_FORMAT": "auto",  # else nobody hears why a migration fails
    }
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(done.stdout.decode(errors="replace"))


def database_url_of(url: str, database: str) -> str:
    """The same server, another database."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}/{database}{query}"


def _admin(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True)


def create_database(url: str, name: str, template: str | None = None) -> None:
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template:
        # Twice as quick as through the write-ahead log, where nothing has to survive a crash.
        statement += sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template))
    with _admin(url) as connection:
        # Copies of one template wait for each other: the server refuses two at a time.
        connection.execute("SELECT pg_advisory_lock(hashtext('nostro-test-template'))")
        connection.execute(statement)


def drop_databases(url: str, prefix: str) -> None:
    """Drop every database whose name begins so; whoever still uses one is disconnected."""
    with suppress(psycopg.OperationalError), _admin(url) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix]
        ).fetchall()
        for (name,) in rows:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))


def redis_url_of(url: str, number: int) -> str:
    """The same server, another numbered database."""
    if url.startswith("unix://"):
        return f"{url.partition('?')[0]}?db={number}"
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{number}"


def claim_redis(url: str) -> str:
    """The address of an empty numbered database that no other worker or run uses; 0 is left alone."""
    for number in range(1, REDIS_DATABASES):
        address = redis_url_of(url, number)
        with redis.Redis.from_url(address) as client:
            try:
                if client.dbsize() == 0 and client.set(CLAIM, "1", nx=True, ex=3600):
                    return address
            except redis.ResponseError:
                break
    raise RuntimeError(f"No empty database is left on {url}: tests only use empty ones, from number 1 on.")


def empty_redis(address: str, *, keep_claim: bool, holding: Mapping[str, bytes] | None = None) -> None:
    """Leave nothing in it but the claim, and what it is to hold (values by key)."""
    with suppress(redis.RedisError):
        # One command, not a transaction: nobody else writes into this database between two tests.
        pipeline = _client_of(address).pipeline(transaction=False)
        pipeline.flushdb()
        if keep_claim:
            pipeline.set(CLAIM, "1", ex=3600)
        for key, value in (holding or {}).items():
            pipeline.set(key, value)
        pipeline.execute()


@cache
def _client_of(address: str) -> redis.Redis:
    """Kept open: it is asked around every test."""
    return redis.Redis.from_url(address)
