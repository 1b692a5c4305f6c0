"""What deploy/compose.yaml and the Dockerfile start, started here: from an environment that has requirements.txt alone."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy/compose.yaml"
# Only so that what hangs ends; a busy machine is slow, not wrong.
HANGS_S = 300.0


def shipped_environment() -> Path:
    """A virtual environment from the hashed lock of what ships, made once for each lock."""
    lock = ROOT / "requirements.txt"
    made = ROOT / "var" / f"shipped-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if (made / "installed").exists():
        return made
    shutil.rmtree(made, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    for arguments in (
        ["venv", "--quiet", "--python", sys.executable, str(made)],
        [
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--python",
            str(made / "bin/python"),
            "-r",
            str(lock),
        ],
    ):
        subprocess.run([str(uv), *arguments], check=True)
    (made / "installed").touch()
    return made


def services() -> dict[str, dict[str, Any]]:
    """The services of compose.yaml that run our image, the image's own command filled in."""
    found = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    ours = {name: service for name, service in found.items() if service.get("image") == "nostro"}
    for service in ours.values():
        service.setdefault("command", image_command())
    return ours


def image_command() -> list[str]:
    """CMD of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    line = next(line for line in text.splitlines() if line.startswith("CMD "))
    command: list[str] = json.loads(line.removeprefix("CMD "))
    return command


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Shipped:
    """The services of one installation on loopback: in production's mode, with `.env.example` filled in."""

    folder: Path
    database_url: str
    redis_url: str
    public_url: str
    ports: dict[str, int] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        values = dict(
            line.split("=", 1) for line in _example().splitlines() if line and not line.startswith("#")
        )
        for name in ("SECRET_KEY", "BLIND_INDEX_KEY", "BACKUP_KEY"):
            values[name] = secrets.token_urlsafe(32)
        values |= (
            self._secrets
            | services()["web"]["environment"]
            | {
                "DATABASE_URL": self.database_url.replace("+psycopg", ""),
                "REDIS_URL": self.redis_url,
                "PUBLIC_URL": self.public_url,
            }
        )
        for name in ("UPLOADS_DIR", "AUDIT_HEADS_DIR", "METRICS_DIR"):
            values[name] = str(self.folder / name)
        inherited = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
        return inherited | values | {
            "PATH": f"{shipped_environment() / 'bin'}:/usr/bin:/bin", "FLASK_APP": "wsgi:app", "TZ": "UTC",
            "PYTHONUNBUFFERED": "1", "FLASK_SKIP_DOTENV": "1", "MALLOC_ARENA_MAX": "2",
        }  # fmt: skip

    def __post_init__(self) -> None:
        self._secrets = {name: secrets.token_urlsafe(32) for name in ("SECRET_KEY", "BLIND_INDEX_KEY")}
        self._secrets |= {name: f"one:{secrets.token_urlsafe(32)}" for name in ("FIELD_KEYS", "CHAIN_KEYS")}

    def port_of(self, name: str) -> int:
        return self.ports.setdefault(name, free_port())

    def command_of(self, name: str) -> list[str]:
        """The service's command, on loopback: addresses and ports of containers become free ones of this machine."""
        command = services()[name]["command"]
        arguments = [command] if isinstance(command, str) else list(command)
        own = str(self.port_of(name))
        adapted = []
        for argument in arguments:
            here = argument.replace("http://web:8000", f"http://127.0.0.1:{self.port_of('web')}")
            here = here.replace("0.0.0.0:8000", f"127.0.0.1:{own}").replace("0.0.0.0", "127.0.0.1")
            adapted.append(own if here == "8000" else here)
        if name == "metrics":
            adapted += ["--port", own]
        return adapted

    def run(self, *command: str) -> str:
        """Run it to its end in this environment; what it said."""
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    @contextmanager
    def running(self, name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run this service, or that command under its name, until the block ends."""
        arguments = list(command) or self.command_of(name)
        with self.log_of(name).open("wb") as log:
            environment = self.environment()
            process = subprocess.Popen(
                arguments, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True,
                executable=shutil.which(arguments[0], path=environment["PATH"]) or arguments[0],
            )  # fmt: skip
        try:
            yield process
            assert process.poll() is None, self.log_of(name).read_text(encoding="utf-8")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _example() -> str:
    return (ROOT / ".env.example").read_text(encoding="utf-8")


def until(condition: Any, what: str) -> Any:
    ends_at = time.monotonic() + HANGS_S
    while time.monotonic() < ends_at:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what} did not come to be")
