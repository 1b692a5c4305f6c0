"""PostgreSQL's own programs (pg_dump, pg_restore): where they are, and how they are told whom to talk to."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from portal.embedded.place import EmbeddedServerError
from portal.embedded.postgres import installed_programs
from portal.settings import child_environment, launch_settings


class ProgramsMissing(Exception):
    """There are none that fit the server; the message is one sentence for the person at the terminal."""


def find_programs(server_major: int) -> Path:
    """The directory of programs as old as the server, or failing that newer ones.

    Looks at PGBIN (and nowhere else when it is set), the embedded server's programs, and PATH. An older
    pg_dump can't read the server; a newer pg_restore may say things that it does not understand.
    """
    found = {folder: major for folder in _folders() if (major := _major_of(folder / "pg_dump"))}
    fitting = sorted((major, str(folder)) for folder, major in found.items() if major >= server_major)
    if not fitting:
        seen = ", ".join(f"{major} in {folder}" for folder, major in found.items()) or "none"
        raise ProgramsMissing(
            f"The server is PostgreSQL {server_major}; of pg_dump there is {seen}."
            f" Install postgresql-client-{server_major}, or set PGBIN to its folder."
        )
    return Path(fitting[0][1])


def _folders() -> Iterator[Path]:
    chosen = launch_settings().pgbin
    if chosen is not None:
        yield chosen
        return
    with suppress(EmbeddedServerError):
        yield installed_programs()
    on_path = shutil.which("pg_dump")
    if on_path is not None:
        yield Path(on_path).parent


def _major_of(program: Path) -> int | None:
    try:
        told = subprocess.run([str(program), "--version"], capture_output=True, check=True)  # noqa: S603 - ours
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(rb"\) (\d+)", told.stdout)
    return int(found[1]) if found else None


def conninfo_of(database_url: str) -> str:
    """The address as the driver and the programs want it."""
    return database_url.replace("postgresql+psycopg://", "postgresql://", 1)


def target_of(database_url: str) -> tuple[str, dict[str, str]]:
    """The argument --dbname and the environment; the password is in the latter, where `ps` does not show it."""
    known = conninfo_to_dict(conninfo_of(database_url))
    parts = {name: str(value) for name, value in known.items() if value is not None}
    password = parts.pop("password", None)
    environment = child_environment(LC_ALL="C.UTF-8", PGCONNECT_TIMEOUT="10")
    if password is not None:
        environment["PGPASSWORD"] = password
    return f"--dbname={make_conninfo('', **parts)}", environment
