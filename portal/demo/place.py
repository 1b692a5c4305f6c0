"""Where the demo keeps what it must remember: everything under var/, secrets readable by their owner only."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from portal.settings import launch_settings
from portal.workers.supervisor import ROOT

VAR = ROOT / launch_settings().var_dir
HOME = VAR / "demo"
# What people and programs read; written once everything answers.
FACTS = VAR / "demo.json"
# The same and more: what the next start needs to find everything as it was.
WORLD = HOME / "world.json"
SIMULATION = HOME / "simulation.json"
# Read by `flask` in this folder (see portal.settings).
ENVIRONMENT = HOME / "environment"
SECRETS = HOME / "secrets.json"
LOGS = HOME / "log"
UPLOADS = HOME / "uploads"
METRICS = HOME / "metrics"
HEADS = HOME / "heads"
SHOP_DATABASE = HOME / "shop.sqlite3"
POSTGRES = HOME / "postgres"
REDIS = HOME / "redis"


class DemoRefused(Exception):
    """The demo can't start, or forget; the message is one sentence for the person at the terminal."""


def prepare_directories() -> None:
    for folder in (VAR, HOME):
        folder.mkdir(exist_ok=True, parents=True)
    for folder in (LOGS, UPLOADS):
        folder.mkdir(exist_ok=True, mode=0o700)


def write_private(path: Path, facts: Any) -> None:
    """Replace a JSON file at once, readable by its owner only."""
    write_private_text(path, json.dumps(facts, indent=2) + "\n")


def write_private_text(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


def read_private(path: Path) -> Any:
    """What `write_private` wrote, or None."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def own_secrets() -> dict[str, str]:
    """This installation's secrets, each made at the first start that needs it and kept."""
    known = read_private(SECRETS) or {}
    names = {"secret_key", "field_key", "blind_index_key", "chain_key"}
    if missing := names - known.keys():
        known |= {name: secrets.token_urlsafe(36) for name in missing}
        write_private(SECRETS, known)
    return dict(known)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the demo's lock. Raises DemoRefused while another demo of this folder runs.

    The kernel frees it with the process, so that a killed demo does not stand in the way.
    """
    with (VAR / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoRefused("The demo of this folder is running already; stop it first.") from None
        yield
