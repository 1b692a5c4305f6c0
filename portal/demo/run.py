"""Starting and stopping the demo: servers, schema, world, processes, and the table at the end."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

from portal.demo import place
from portal.demo.place import DemoRefused
from portal.demo.table import table
from portal.embedded import EmbeddedPostgres, EmbeddedRedis
from portal.embedded.place import forget
from portal.settings import LaunchSettings, child_environment, launch_settings
from portal.workers.supervisor import (
    ROOT,
    Program,
    Stopped,
    Supervisor,
    background,
    exporter,
    flask,
    gunicorn,
    raise_on_signals,
    streams,
)

DATABASE = "nostro_demo"
START_TIMEOUT_S = 120.0
PORT_PATIENCE_S = 10.0
_SHOP_SERVER = (
    sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "8", "--graceful-timeout", "2",
    "--no-control-socket",
)  # fmt: skip
_PUBLIC = ("base_url", "shop_url", "logins", "api_keys", "store_id", "webhook_secret")
_PR_SET_PDEATHSIG = 1


def run_demo() -> None:
    """Run until Stopped is raised by a signal; then stop everything. Raises DemoRefused, GaveUp."""
    launch = launch_settings()
    if launch.environment == "production":
        raise DemoRefused("The demo is not for production: its people and money would be real there.")
    raise_on_signals(signal.SIGHUP)
    _stop_with_make()
    place.prepare_directories()
    with ExitStack() as stack:
        stack.enter_context(place.alone())
        stack.enter_context(_terminal_of_our_own())
        place.FACTS.unlink(missing_ok=True)
        _wait_for_ports(*(launch.port + number for number in range(4)))
        _remove(place.METRICS)
        place.METRICS.mkdir(mode=0o700)
        _say("Starting Nostro. The first time this takes about half a minute.")
        supervisor = Supervisor(_say)
        addresses = _servers(launch, stack, supervisor)
        environment = _environment(launch, addresses)
        stack.callback(supervisor.stop)
        _run_step("portal.demo.prepare", environment | {"DATABASE_OWNER_URL": addresses.owner})
        _serve(launch, supervisor, environment)


def _serve(launch: LaunchSettings, supervisor: Supervisor, environment: dict[str, str]) -> None:
    world = place.read_private(place.WORLD)
    supervisor.start(*_programs(launch.port, environment, world))
    _await(supervisor, f"http://127.0.0.1:{launch.port}/healthz", "nostro")
    _await(supervisor, f"http://127.0.0.1:{launch.port + 1}/healthz", "nostro-example-shop")
    facts = {name: world[name] for name in _PUBLIC}
    facts["metrics_url"] = f"http://127.0.0.1:{launch.port + 2}/metrics"
    place.write_private(place.FACTS, facts)
    if not launch.demo_quiet:
        simulate = flask("simulate", "--orders-per-minute", "4", "--minutes", "0", "--quiet")
        supervisor.start(Program("simulator", simulate, environment, place.LOGS / "simulator.log"))
    sys.stdout.write(table(facts))
    sys.stdout.flush()
    try:
        supervisor.watch()
    except Stopped:
        _say("Stopping.")
        raise


class Addresses(NamedTuple):
    """Of the servers: the database as whoever serves and as whoever migrates (empty: the same), and Redis."""

    database: str
    owner: str
    redis: str


def _servers(launch: LaunchSettings, stack: ExitStack, supervisor: Supervisor) -> Addresses:
    """The given ones, else embedded ones that stop with us and are looked after."""
    if launch.database_url is not None:
        given = launch.database_owner_url
        database, owner = launch.database_url.get_secret_value(), given.get_secret_value() if given else ""
    else:
        postgres = EmbeddedPostgres(place.POSTGRES)
        stack.callback(postgres.stop)
        _ensure_database(postgres.start(), postgres.url(DATABASE))
        supervisor.look_after("PostgreSQL", postgres.is_up, postgres.start)
        database, owner = (postgres.url(DATABASE, role) for role in ("nostro_writer", "nostro_owner"))
    if launch.redis_url is not None:
        return Addresses(database, owner, launch.redis_url.get_secret_value())
    cache = EmbeddedRedis(place.REDIS)
    stack.callback(cache.stop)
    redis_url = cache.start()
    supervisor.look_after("Valkey", cache.is_up, cache.start)
    return Addresses(database, owner, redis_url)


def _ensure_database(server_url: str, url: str) -> None:
    """The database and its roles, also where the demo ran as one role before."""
    with psycopg.connect(server_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if there is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute((ROOT / "deploy" / "postgres" / "roles.sql").read_bytes())


def _environment(launch: LaunchSettings, addresses: Addresses) -> dict[str, str]:
    """The settings of every process of the demo; none of them may change the tables."""
    own = place.own_secrets()
    values = {
        "ENVIRONMENT": "development",
        "DATABASE_URL": addresses.database,
        "DATABASE_OWNER_URL": "",
        "REDIS_URL": addresses.redis,
        "SECRET_KEY": own["secret_key"],
        "FIELD_KEYS": f"demo:{own['field_key']}",
        "BLIND_INDEX_KEY": own["blind_index_key"],
        "CHAIN_KEYS": f"demo:{own['chain_key']}",
        "PUBLIC_URL": f"http://localhost:{launch.port}",
        "STREAMS_PORT": str(launch.port + 3),
        "UPLOADS_DIR": str(place.UPLOADS),
        "METRICS_DIR": str(place.METRICS),
        "AUDIT_HEADS_DIR": str(place.HEADS),
        "DB_POOL_SIZE": "8",
        # The demo's people are invented: their letters stay in the mailbox page.
        "SMTP_HOST": "",
        # The example shop is on this machine and speaks http.
        "WEBHOOKS_ALLOW_HTTP": "true",
        "EGRESS_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
    }
    lines = "".join(f"{name}='{value}'\n" for name, value in values.items())
    place.write_private_text(place.ENVIRONMENT, lines)
    return child_environment(**values, PYTHONUNBUFFERED="1", TZ="UTC", FLASK_SKIP_DOTENV="1")


def _programs(port: int, environment: dict[str, str], world: dict[str, object]) -> list[Program]:
    keys = world["api_keys"]
    assert isinstance(keys, dict)
    shop = {
        "PATH": os.defpath,
        "NOSTRO_URL": f"http://127.0.0.1:{port}",
        "NOSTRO_API_KEY": str(keys["live"]),
        "NOSTRO_WEBHOOK_SECRET": str(world["webhook_secret"]),
        "SHOP_URL": str(world["shop_url"]),
        "SHOP_DATABASE": str(place.SHOP_DATABASE),
    }
    web = gunicorn(f"127.0.0.1:{port}", workers=2, threads=16)
    return [
        Program("web", web, environment, place.LOGS / "web.log"),
        Program("streams", streams(f"127.0.0.1:{port}", port + 3), environment, place.LOGS / "streams.log"),
        *background(environment, place.LOGS),
        exporter(environment, port + 2, place.LOGS),
        Program(
            "shop",
            (*_SHOP_SERVER, "--bind", f"127.0.0.1:{port + 1}", "app:create_app()"),
            shop,
            place.LOGS / "shop.log",
            ROOT / "examples" / "shop",
        ),
    ]


def _run_step(module: str, environment: dict[str, str]) -> None:
    log = place.LOGS / "prepare.log"
    with log.open("ab") as output:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", module],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=False,
        )
    if done.returncode:
        raise DemoRefused(f"The database could not be prepared; the reason is at the end of {log}.")


def _await(supervisor: Supervisor, url: str, service: str) -> None:
    """Wait until the process there answers, and is ours."""
    ends_at = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < ends_at:
        supervisor.check()
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
                if json.load(answer).get("service") == service:
                    return
        except (OSError, ValueError):
            pass
        time.sleep(0.1)
    raise DemoRefused(f"{url} does not answer; the logs are in {place.LOGS}.")


def _wait_for_ports(*ports: int) -> None:
    """Raises DemoRefused when a port is taken; what a killed demo left behind gets a moment to leave."""
    ends_at = time.monotonic() + (PORT_PATIENCE_S if place.WORLD.exists() else 0)
    while taken := [port for port in ports if _is_taken(port)]:
        if time.monotonic() > ends_at:
            raise DemoRefused(f"Port {taken[0]} is taken; choose another one, such as: make demo PORT=8100")
        time.sleep(0.5)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _stop_with_make() -> None:
    """Under make, end when it ends, however it ends: it would leave us behind."""
    if "MAKELEVEL" in child_environment() and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def _terminal_of_our_own() -> Iterator[None]:
    """Take the terminal's foreground, so that Ctrl-C reaches us and not make, which would call it an error."""
    if "MAKELEVEL" not in child_environment() or not sys.stdin.isatty():
        yield
        return
    terminal, before = sys.stdin.fileno(), os.getpgrp()
    if os.tcgetpgrp(terminal) != before:
        yield
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, before)


def forget_demo() -> None:
    """Remove the demo's data, logins and keys. Raises DemoRefused while it runs."""
    if not place.VAR.is_dir():
        return
    with place.alone():
        for server, root in (
            (EmbeddedPostgres(place.POSTGRES), place.POSTGRES),
            (EmbeddedRedis(place.REDIS), place.REDIS),
        ):
            if root.exists():
                server.stop()
                forget(root)
        place.FACTS.unlink(missing_ok=True)
        _remove(place.HOME)
    _say("The demo is forgotten.")
    launch = launch_settings()
    if launch.database_url is not None:
        _say("Your own database was not touched: drop it yourself if nothing of it is needed.")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
