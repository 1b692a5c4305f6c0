"""Real servers for every test: PostgreSQL and Valkey of the run, databases of the worker, one app for each.

`app` (with `db_session`) begins with the reference data alone and undoes everything. `committing_app` commits for
real, in a database that the tests of one worker share: its users bring stores and people of their own.
`committed_db` is a database of one module's own, for threads and races.
"""

from __future__ import annotations

import gc
import os
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
import redis as redis_client
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy.session import Session
from jinja2 import FileSystemBytecodeCache
from pydantic import SecretStr
from sqlalchemy.orm import scoped_session

from portal.core.processes.garbage_collection import look_seldom
from tests import servers as running
from tests.servers import Servers

SERVERS = pytest.StashKey[Servers]()
WORKER = pytest.StashKey["Worker"]()


@dataclass
class Worker:
    """What one process of the run has to itself."""

    name: str
    run: str
    database_url: str
    template: str
    redis_url: str
    folder: Path
    apps: dict[str, Flask] = field(default_factory=dict)

    def name_of(self, purpose: str) -> str:
        return f"nostro_test_{self.run}_{self.name}_{purpose}"

    def new_database(self, purpose: str) -> str:
        """A copy of the migrated template; its address."""
        name = self.name_of(purpose)
        running.create_database(self.database_url, name, self.template)
        return running.database_url_of(self.database_url, name)

    def new_app(self, database_url: str) -> Flask:
        from portal import create_app
        from portal.settings import get_settings

        return self.with_kept_templates(
            create_app(get_settings().model_copy(update={"database_url": SecretStr(database_url)}))
        )

    def with_kept_templates(self, app: Flask) -> Flask:
        """Each app compiles its templates anew, unless another one of this run has."""
        kept = self.folder.parent / "templates"
        kept.mkdir(mode=0o700, exist_ok=True)
        app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(kept))
        return app

    def app(self, purpose: str) -> Flask:
        """The app on the database for this purpose, made at first use."""
        if purpose not in self.apps:
            self.apps[purpose] = self.new_app(self.new_database(purpose))
        return self.apps[purpose]


def pytest_sessionstart(session: pytest.Session) -> None:
    """In the process that was called: start the servers. In each that runs tests: take databases."""
    config = session.config
    if config.option.collectonly:
        return
    given: dict[str, str] | None = getattr(config, "workerinput", None)
    if given is None:
        # A run that is told to end must still stop its servers.
        signal.signal(signal.SIGTERM, _interrupt)
        os.environ.update(running.PLAIN_SETTINGS)
        config.stash[SERVERS] = running.start_servers()
        if getattr(config.option, "numprocesses", None):
            return
        given = _seat(config.stash[SERVERS]) | {"workerid": "main"}
    # Nothing that is loaded to collect the tests is garbage: looking for some took a quarter of it.
    gc.disable()
    config.stash[WORKER] = _take_seat(given)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    if SERVERS in node.config.stash:
        node.workerinput.update(_seat(node.config.stash[SERVERS]))


def _seat(servers: Servers) -> dict[str, str]:
    return {
        "nostro_database_url": servers.database_url,
        "nostro_redis_url": servers.redis_url,
        "nostro_run": servers.run,
        "nostro_template": servers.template,
        "nostro_folder": str(servers.folder),
    }


def _take_seat(given: dict[str, str]) -> Worker:
    worker = Worker(
        name=given["workerid"],
        run=given["nostro_run"],
        database_url=given["nostro_database_url"],
        template=given["nostro_template"],
        redis_url=running.claim_redis(given["nostro_redis_url"]),
        folder=Path(given["nostro_folder"]) / given["workerid"],
    )
    worker.folder.mkdir(mode=0o700)
    shared = worker.name_of("shared")
    os.environ.update(
        ENVIRONMENT="test",
        # A test holds its transaction while a browser starts, which takes long on a busy machine.
        DB_IDLE_IN_TRANSACTION_TIMEOUT_S="300",
        DATABASE_URL=running.database_url_of(worker.database_url, shared),
        REDIS_URL=worker.redis_url,
        UPLOADS_DIR=str(worker.folder / "uploads"),
    )
    return worker


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Between collecting and the first test: the database that the environment names."""
    if WORKER in session.config.stash:
        worker = session.config.stash[WORKER]
        running.wait_for_template(worker.folder.parent)
        worker.new_database("shared")
        look_seldom()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    stash = session.config.stash
    if WORKER in stash:
        running.empty_redis(stash[WORKER].redis_url, keep_claim=False)
    if SERVERS in stash:
        # Told to end once more, it is ending already.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stash[SERVERS].stop()
        del stash[SERVERS]


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> Worker:
    return request.config.stash[WORKER]


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[PasswordHasher]:
    """Hundreds of people sign in: argon2id as ever, with the least that it takes. Yields the real one."""
    from portal.identity.proofs import passwords

    real = passwords._hasher
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield real


@pytest.fixture
def real_passwords(_quick_passwords: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For tests of what a hash costs."""
    from portal.identity.proofs import passwords

    monkeypatch.setattr(passwords, "_hasher", _quick_passwords)
    passwords._nobodys_hash.cache_clear()
    yield
    passwords._nobodys_hash.cache_clear()


@pytest.fixture(scope="session")
def _shared_app(worker: Worker) -> Flask:
    """On the database that the environment names, for child processes too."""
    from portal import create_app

    return worker.with_kept_templates(create_app())


@pytest.fixture
def committing_app(_shared_app: Flask, worker: Worker) -> Iterator[Flask]:
    """Commits for real. Bring a store and people of your own: others' rows stay in this database."""
    begin_anew(worker)
    yield _shared_app
    begin_anew(worker)


@pytest.fixture
def app(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """An app context in which nothing is ever committed: a transaction around all, savepoints inside.

    Requests of a test client take part. Threads must not: they would share one connection.
    """
    from portal.core.db import db

    isolated = worker.app("isolated")
    begin_anew(worker)
    with isolated.app_context(), db.engine.connect() as connection, connection.begin() as outer:
        monkeypatch.setattr(Session, "get_bind", lambda *_args, **_options: connection)
        monkeypatch.setattr("portal.core.db.transactions.has_pool", lambda: False)
        db.session.session_factory.configure(join_transaction_mode="create_savepoint")
        db.session.remove()
        yield isolated
        db.session.remove()
        outer.rollback()
    db.session.session_factory.configure(join_transaction_mode="conditional_savepoint")
    begin_anew(worker)


@pytest.fixture
def db_session(app: Flask) -> scoped_session[Session]:
    """The session inside `app`."""
    from portal.core.db import db

    return db.session


@pytest.fixture(scope="module")
def _module_app(worker: Worker) -> Iterator[Flask]:
    from portal.core.db import db

    purpose = f"module{len(worker.apps)}"
    app = worker.app(purpose)
    yield app
    with app.app_context():
        db.engine.dispose()
    running.drop_databases(worker.database_url, worker.name_of(purpose))


@pytest.fixture
def committed_db(_module_app: Flask, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """For threads, races and child processes: an app context on a database that only this module's tests use.

    While it lasts, the environment and the settings name this database.
    """
    from portal.core.db import db
    from portal.settings import get_settings

    monkeypatch.setenv("DATABASE_URL", _module_app.config["SQLALCHEMY_DATABASE_URI"])
    get_settings.cache_clear()
    begin_anew(worker)
    with _module_app.app_context():
        yield _module_app
        db.session.rollback()
    monkeypatch.undo()
    get_settings.cache_clear()
    begin_anew(worker)


@pytest.fixture(autouse=True)
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are counted as if a test took no time: no minute turns in its middle, on however slow a machine."""
    from portal.core import limits

    started, passed = time.time(), time.monotonic()
    monkeypatch.setattr(limits, "time", SimpleNamespace(time=lambda: started, monotonic=lambda: passed))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def redis(worker: Worker) -> Iterator[redis_client.Redis]:
    """The worker's own numbered database, empty before and after."""
    running.empty_redis(worker.redis_url, keep_claim=True)
    with redis_client.Redis.from_url(worker.redis_url) as connection:
        yield connection
    running.empty_redis(worker.redis_url, keep_claim=True)


def begin_anew(worker: Worker) -> None:
    """Nothing is remembered, here or in Redis: one round trip, since it is done around every test."""
    from portal.reference.snapshot import _snapshots as snapshots

    marks = [uuid.uuid4().hex.encode() for _ in snapshots]
    held = {snapshot._mark_key: mark for snapshot, mark in zip(snapshots, marks, strict=True)}
    running.empty_redis(worker.redis_url, keep_claim=True, holding=held)
    for snapshot, mark in zip(snapshots, marks, strict=True):
        snapshot._tear(mark)
    _forget_here()


def forget_what_is_held() -> None:
    """What the process remembers of one database says nothing of the next one."""
    from portal.core.answer_cache import SharedAnswers
    from portal.reference.snapshot import forget_all

    SharedAnswers().clear()
    forget_all()
    _forget_here()


def _forget_here() -> None:
    from portal.core.circuit_breaker import ask_again
    from portal.core.uploads.turns import costly
    from portal.ledger.accounts import forget_accounts
    from portal.web.shell.limits import forget as forget_requests

    forget_accounts()
    ask_again()
    # Each test has the minute's requests to itself.
    forget_requests()
    costly.forget()
