"""The real thing on servers and ports of its own, to be killed, frozen and starved.

PostgreSQL and Valkey are durable and belong to the stage alone; web server, workers, relay and clock are processes
started by the commands of docs/running.md; customers, traders and a shop come over HTTP.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import redis
from flask import Flask
from pydantic import SecretStr

from portal.core.ids import parse_public_id
from portal.embedded import EmbeddedPostgres, EmbeddedRedis
from portal.embedded.place import forget
from portal.settings import child_environment
from portal.workers.supervisor import flask, gunicorn
from tests.faults import invariants
from tests.faults.load import Load
from tests.faults.movable_clock import MovableClock
from tests.faults.processes import ROOT, Actor, descendants, wait_until
from tests.faults.shop import Shop
from tests.servers import PLAIN_SETTINGS, create_database

ROLES = ("web", "worker-1", "worker-2", "relay", "clock")
DATABASE = "nostro_faults"
# Longer than any lease (the relay's 30 s, the sender's 14 s, a letter's 120 s).
AT_REST_WITHIN_S = 150.0

_OPEN_WORK = {
    "orders that are due": "SELECT id::text FROM orders WHERE due_at IS NOT NULL OR retry_at IS NOT NULL",
    "events": "SELECT id::text || ' ' || coalesce(last_error, '') FROM event WHERE state = 'pending'",
    "webhooks": "SELECT id::text || ' ' || attempts FROM webhook_delivery WHERE state = 'pending'",
    "mail": "SELECT id::text FROM mail WHERE state = 'pending'",
    "postings to fold": "SELECT amount::text FROM ledger_unfolded",
}
_PASS_TIME = """
UPDATE orders SET due_at = now(), match_by = CASE WHEN match_by = due_at THEN now() ELSE match_by END,
       pay_by = CASE WHEN pay_by = due_at THEN now() ELSE pay_by END,
       confirm_by = CASE WHEN confirm_by = due_at THEN now() ELSE confirm_by END
 WHERE due_at > now()
"""
# What must be so once nothing is open: each finds nothing, or a defect.
_AT_REST = {
    "an order in a status that somebody should end": (
        "SELECT id::text || ' ' || status FROM orders"
        " WHERE status NOT IN ('completed', 'cancelled', 'failed', 'expired', 'disputed', 'review')"
    ),
    "an event that was given up": "SELECT id::text || ' ' || last_error FROM event WHERE state = 'dead'",
    "a webhook that was given up": "SELECT id::text FROM webhook_delivery WHERE state = 'dead'",
    "an event without its delivery": (
        "SELECT v.id::text FROM event v JOIN webhook_endpoint e ON (e.store_id, e.mode) = (v.store_id, v.mode)"
        " LEFT JOIN webhook_delivery d ON (d.event_id, d.endpoint_id) = (v.id, e.id)"
        " WHERE v.created_at > e.created_at GROUP BY v.id HAVING count(d.id) <> 1"
    ),
    "a lease that nobody holds any more": (
        "SELECT id::text FROM event WHERE lease_token IS NOT NULL"
        " UNION ALL SELECT id::text FROM webhook_delivery WHERE lease_token IS NOT NULL"
    ),
    "a transaction that was left open": (
        "SELECT pid::text || ' ' || query FROM pg_stat_activity WHERE datname = current_database()"
        " AND xact_start < now() - interval '30 s' AND pid <> pg_backend_pid()"
    ),
}


class Stage:
    """Start it once; whoever uses it leaves it at rest (`quiesce`).

    With `has_movable_clock`, PostgreSQL and all processes believe `clock`.
    """

    def __init__(self, *, has_movable_clock: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nostro-faults-"))
        # PostgreSQL's own user has to pass through; what is inside is private.
        self.folder.chmod(0o711)
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.shop = Shop()
        self.clock = MovableClock(self.folder / "clock") if has_movable_clock else None
        self._time = self.clock.environment if self.clock else {}
        self.postgres = EmbeddedPostgres(
            self.folder / "postgres", gucs={"max_connections": "150"}, environment=self._time
        )
        self.redis = EmbeddedRedis(self.folder / "redis")
        self.database_url = self.redis_url = ""
        self.world: dict[str, Any] = {}
        self.actors: dict[str, Actor] = {}
        self.loads: list[Load] = []
        self._app: Flask | None = None

    # Starting and stopping

    def start(self) -> None:
        """Everything that serves, on a database that has the demo's world."""
        self.shop.start()
        create_database(self.postgres.start(), DATABASE)
        self.database_url = self.postgres.url(DATABASE)
        self.redis_url = self.redis.start()
        self._prepare()
        for role in ROLES:
            self.add(role)
        self.wait_until_ready()

    def stop(self) -> None:
        for load in self.loads:
            load.end()
        for actor in self.actors.values():
            actor.kill()
        self.shop.stop()
        with suppress(Exception):
            self.redis.stop()
        self.postgres.stop()
        forget(self.folder / "redis")
        forget(self.folder / "postgres")
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep_logs(self, name: str) -> Path:
        """Copy what all processes said to where it stays."""
        kept = ROOT / "var" / "faults" / name
        kept.mkdir(parents=True, exist_ok=True)
        server = self.postgres_data().parent / "postgres.log"
        for log in [*self.folder.glob("*.log"), server, self.folder / "redis" / "redis.log"]:
            with suppress(OSError):
                shutil.copy(log, kept)
        return kept

    def _prepare(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.prepare", self.shop.url],
            cwd=ROOT, env=self.environment() | {"LOG_FORMAT": "auto"}, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        self.world = json.loads(done.stdout)
        self.shop.secrets = (self.world["hook_secret"], self.world["webhook_secret"])

    def environment(self) -> dict[str, str]:
        """The settings of every process of the stage."""
        return child_environment() | PLAIN_SETTINGS | self._time | {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "PUBLIC_URL": self.base_url,
            "UPLOADS_DIR": str(self.folder / "uploads"),
            "LOG_FORMAT": "json",
            "DB_IDLE_IN_TRANSACTION_TIMEOUT_S": "10",
            "DB_POOL_SIZE": "8",
            "WEBHOOKS_ALLOW_HTTP": "true",
            "EGRESS_ALLOW_NETWORKS": "127.0.0.0/8",
            "FLASK_SKIP_DOTENV": "1",
            "PYTHONUNBUFFERED": "1",
        }  # fmt: skip

    def add(self, role: str, cwd: Path = ROOT, command: tuple[str, ...] = (), **environment: str) -> Actor:
        """Start a process; what its role does stands before the dash ("relay-2")."""
        kind = role.partition("-")[0]
        if not command:
            is_web = kind == "web"
            command = gunicorn(f"127.0.0.1:{self.port}", workers=2, threads=16) if is_web else flask(kind)
        log = self.folder / f"{role}.log"
        actor = self.actors[role] = Actor(role, command, self.environment() | environment, log, cwd)
        actor.start()
        return actor

    def remove(self, role: str) -> None:
        """Kill it for good."""
        self.actors.pop(role).kill()

    def revive(self) -> None:
        """Whatever was killed, frozen or stopped runs again, the servers too."""
        self.postgres.start()
        self.redis.start()
        for actor in self.actors.values():
            actor.thaw()
            if not actor.is_running:
                actor.start()
        self.wait_until_ready()

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """What /readyz answers: status (0: nothing) and content."""
        try:
            with urllib.request.urlopen(f"{self.base_url}/readyz", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, {}

    def wait_until_ready(self, within_s: float = 60) -> float:
        seconds = wait_until(
            lambda: self.readiness()[0] == 200, within_s, "/readyz is green", every_s=0.2
        )  # fmt: skip
        for actor in self.actors.values():
            assert actor.is_running, f"{actor.role} has stopped:\n{actor.said()}"
        return seconds

    # Asking

    @property
    def dsn(self) -> str:
        return self.database_url.replace("postgresql+psycopg://", "postgresql://", 1)

    def sql(self, text: str, *values: object) -> list[Any]:
        """Rows of a statement that is committed at once."""
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(text, values or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, text: str, *values: object) -> Any:
        return self.sql(text, *values)[0][0]

    def flush(self) -> None:
        """Redis forgets everything."""
        with suppress(redis.RedisError), redis.Redis.from_url(self.redis_url, socket_timeout=2) as client:
            client.flushall()

    @property
    def app(self) -> Flask:
        """The house in this process, on the stage's database."""
        if self._app is None:
            from portal import create_app
            from portal.settings import get_settings

            own = {"database_url": SecretStr(self.database_url)}
            self._app = create_app(get_settings().model_copy(update=own))
        return self._app

    # Breaking

    def postgres_data(self) -> Path:
        """The server's data directory."""
        folder = self.folder / "postgres"
        pointer = folder / "data-is-in"
        home = Path(pointer.read_text().strip()) if pointer.is_file() else folder
        return home / "data"

    def postgres_pid(self) -> int:
        return int((self.postgres_data() / "postmaster.pid").read_text().split()[0])

    def stop_actors(self) -> None:
        """Nobody uses the database any more."""
        for actor in self.actors.values():
            actor.kill()
        if self._app is not None:
            from portal.core.db import db

            with self._app.app_context():
                db.session.remove()
                db.engine.dispose()

    def kill_postgres(self) -> None:
        """kill -9 of the postmaster and all that it has started, at once."""
        for pid in list(descendants(self.postgres_pid()))[::-1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def empty_redis(self) -> None:
        """kill -9, and started with an empty disk."""
        self.kill_redis()
        shutil.rmtree(self.folder / "redis" / "data")
        self.redis.start()

    def kill_redis(self) -> None:
        process = self.redis._process
        assert process is not None
        process.kill()
        process.wait(10)

    # Load and rest

    @contextmanager
    def load(self, per_minute: float = 90, *, seed: int = 1, base_url: str = "") -> Iterator[Load]:
        """Customers, traders and shops at work while this lasts; begins once the first order is paid."""
        load = Load(self.app, base_url or self.base_url, self.world["simulation"], seed=seed)
        self.loads.append(load)
        load.start(per_minute)
        try:
            wait_until(lambda: load.tally.counts["confirmed"], 60, "an order is paid", every_s=0.2)
            yield load
        finally:
            load.end()

    def quiesce(self, within_s: float = AT_REST_WITHIN_S) -> float:
        """Let everything come to rest and prove that it is right; seconds that it took.

        Time is passed for deadlines alone: whoever has not paid will not. Fails with what is left.
        """
        self.revive()
        started = time.monotonic()
        while left := self._left():
            assert time.monotonic() - started < within_s, f"not at rest after {within_s:.0f} s: {left}"
            self.sql(_PASS_TIME)
            time.sleep(0.3)
        seconds = time.monotonic() - started
        self.prove()
        return seconds

    def _left(self) -> dict[str, list[str]]:
        found = {what: [row[0] for row in self.sql(f"{text} LIMIT 5")] for what, text in _OPEN_WORK.items()}
        return {what: rows for what, rows in found.items() if rows}

    def prove(self) -> None:
        """Everything that is promised of a house at rest. Fails with all that is broken."""
        broken = {what: found for what, text in _AT_REST.items() if (found := self.sql(text)[:5])}
        with psycopg.connect(self.dsn) as connection:
            broken |= {
                str(found): list(found.examples) for found in invariants.broken(connection, at_rest=True)
            }
        broken |= self._untold() | self._unkept()
        for load in self.loads:
            broken |= {f"the simulator: {what}": n for what, n in load.defects().items()}
        assert broken == {}, json.dumps(broken, indent=2, default=str)

    def _untold(self) -> dict[str, object]:
        """Every event of a store that listens reached it, once in effect, and nothing else did."""
        rows = self.sql(
            "SELECT v.id FROM event v JOIN webhook_endpoint e ON (e.store_id, e.mode) = (v.store_id, v.mode)"
            " WHERE v.created_at > e.created_at"
        )
        told = {parse_public_id("evt", event) for event in self.shop.told}
        happened = {row[0] for row in rows}
        facts = {
            "events that a store was never told": happened - told,
            "a store was told what did not happen": told - happened,
            "webhooks that are not ours": self.shop.refused,
            "webhooks that never came in time": sorted(self.shop.untimely - self.shop.told.keys()),
        }
        return {what: list(found)[:5] for what, found in facts.items() if found}

    def _unkept(self) -> dict[str, object]:
        """Whatever somebody was told had been done is done."""
        timelines: dict[Any, set[str]] = {}
        for order, event in self.sql("SELECT order_id, event FROM order_event"):
            timelines.setdefault(order, set()).add(event)
        lost = [
            (order, sorted(events))
            for load in self.loads
            for order, events in load.told()
            if not timelines.get(parse_public_id("ord", order), set()) & events
        ]
        return {"acknowledged and lost": lost[:5]} if lost else {}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
