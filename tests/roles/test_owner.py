"""Migrations run as the owner; a new installation and one that ran as one role end with the same three roles."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml
from psycopg import sql

from portal.ops.postgres_programs import conninfo_of
from tests import servers as running
from tests.roles.conftest import PASSWORD, as_role

SQL = running.ROOT / "deploy" / "postgres" / "roles.sql"


@pytest.fixture
def prefix(worker: Any) -> Iterator[str]:
    """The shipped file with names that no other run has; roles and databases go at the end."""
    name = f"own_{worker.run}_{worker.name}"
    yield name
    running.drop_databases(worker.database_url, worker.name_of("owned"))
    with psycopg.connect(conninfo_of(worker.database_url), autocommit=True) as admin:
        for role in ("owner", "writer", "reader"):
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(f"{name}_{role}")))


def flask(url: str, prefix: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "DATABASE_URL": as_role(url, f"{prefix}_writer"),
        "DATABASE_OWNER_URL": as_role(url, f"{prefix}_owner"),
        "DATABASE_WRITER_ROLE": f"{prefix}_writer",
        "DATABASE_READER_ROLE": f"{prefix}_reader",
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi:app", *arguments]
    return subprocess.run(
        command, cwd=running.ROOT, env=environment, capture_output=True, text=True, check=False, timeout=280
    )


def make_roles(url: str, prefix: str) -> None:
    with psycopg.connect(conninfo_of(url), autocommit=True) as admin:
        for _ in range(2):  # as often as one likes
            admin.execute(SQL.read_text(encoding="utf-8").replace("nostro_", f"{prefix}_").encode())
        for role in ("owner", "writer", "reader"):
            admin.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(f"{prefix}_{role}"), PASSWORD)
            )


@pytest.mark.proves("tried S21")
@pytest.mark.stages
@pytest.mark.timeout(600)
@pytest.mark.parametrize("is_new", [False, True], ids=["ran as one role", "new"])
def test_the_owner_migrates_and_the_writer_serves(worker: Any, prefix: str, is_new: bool) -> None:
    name = worker.name_of("owned")
    running.create_database(worker.database_url, name, None if is_new else worker.template)
    url = running.database_url_of(worker.database_url, name)
    make_roles(url, prefix)
    upgraded = flask(url, prefix, "db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    for command in (("seed", "reference"), ("ledger", "verify")):
        done = flask(url, prefix, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    with psycopg.connect(conninfo_of(url)) as connection:
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S', 'c')"
        ).fetchall()
    assert owners == [(f"{prefix}_owner",)]


def users_in(environment: dict[str, str]) -> dict[str, str | None]:
    """Whom each database address of these settings connects as; nothing for an empty one."""
    names = ("DATABASE_URL", "DATABASE_OWNER_URL")
    plain = {name: re.sub(r"\$\{[^}]*\}", "password", environment.get(name, "")) for name in names}
    return {name: urlsplit(url).username for name, url in plain.items() if url}


@pytest.mark.proves("tried S21")
def test_what_ships_serves_as_the_writer_and_only_migrates_as_the_owner() -> None:
    compose = yaml.safe_load((running.ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    ours = {name: one for name, one in compose["services"].items() if one.get("image") == "nostro"}
    writer, owner = {"DATABASE_URL": "nostro_writer"}, {"DATABASE_OWNER_URL": "nostro_owner"}
    migrating = {name for name, one in ours.items() if "upgrade" in str(one.get("command"))}
    assert len(migrating) == 1
    for name, one in ours.items():
        assert users_in(one["environment"]) == writer | (owner if name in migrating else {}), name
    example = (running.ROOT / ".env.example").read_text(encoding="utf-8")
    values = dict(line.split("=", 1) for line in example.splitlines() if line and not line.startswith("#"))
    assert users_in(values) == writer


@pytest.mark.proves("tried S21")
def test_an_owner_of_another_database_stops_the_start(worker: Any) -> None:
    environment = os.environ | {"DATABASE_OWNER_URL": running.database_url_of(worker.database_url, "another")}
    done = subprocess.run(
        [sys.executable, "-c", "import wsgi"],
        cwd=running.ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "DATABASE_OWNER_URL must name the same database as DATABASE_URL" in done.stderr
