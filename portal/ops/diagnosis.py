"""Is everything in place that a running Nostro needs? Each check says what it found and what to do about it.

A check never raises: what it can't find out is a failure of its own, with the reason.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis
from alembic.script import ScriptDirectory
from psycopg import Error as DriverError
from sqlalchemy import UniqueConstraint
from sqlalchemy.exc import SQLAlchemyError

from portal.core.db import Base, hot, transaction
from portal.core.redis import own_client
from portal.core.schema.catalogue import MIGRATIONS
from portal.core.uploads.sandbox import Killed, probe
from portal.settings import Settings

EXTENSIONS = ("btree_gist", "pg_trgm")
OLDEST_POSTGRES = 150_000
OLDEST_REDIS = 7
# Deadlines use the database's clock; people's codes of a second factor use ours, in steps of 30 seconds.
SKEW_WARNS_S, SKEW_FAILS_S = 0.5, 5.0
DISK_WARNS, DISK_FAILS = 0.15, 0.05
CLOCK_IS_SILENT_S = 30.0


class Grade(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one look found; `cure` is what to do, empty where all is well."""

    check: str
    grade: Grade
    found: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """A named check. With `needs_database` it is passed over where the database can't be reached."""

    name: str
    look: Callable[[Settings], Iterator[tuple[Grade, str, str]]]
    needs_database: bool = False


Found = Iterator[tuple[Grade, str, str]]


def _well(found: str) -> tuple[Grade, str, str]:
    return Grade.OK, found, ""


def _configuration(settings: Settings) -> Found:
    """What is formally right and still not what one wants in production."""
    yield _well(f"environment {settings.environment}, {settings.public_url}")
    if settings.environment != "production":
        return
    worries = {
        "Mail waits and is never sent.": (settings.smtp_host is None, "Set SMTP_HOST."),
        "There is no key for backups.": (settings.backup_key is None, "Set BACKUP_KEY, or give --key-file."),
        "No proxy in front is trusted: all visitors may seem to come from its address.": (
            settings.trusted_proxies == 0,
            "Set TRUSTED_PROXIES to the number of proxies of yours.",
        ),
        "Webhooks may go over plain http.": (settings.webhooks_allow_http, "Set WEBHOOKS_ALLOW_HTTP=false."),
        "UPLOADS_DIR depends on the folder a process is started in.": (
            not settings.uploads_dir.is_absolute(),
            "Set UPLOADS_DIR to an absolute path.",
        ),
    }
    for found, (is_so, cure) in worries.items():
        if is_so:
            yield Grade.WARNING, found, cure


def _postgres(_settings: Settings) -> Found:
    row = _one(
        "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS name"
    )
    if row["number"] < OLDEST_POSTGRES:
        yield Grade.FAILURE, f"PostgreSQL {row['name']}", "Upgrade to PostgreSQL 15 or newer."
    else:
        yield _well(f"PostgreSQL {row['name']} answers")
    if _one("SELECT pg_is_in_recovery() AS standby")["standby"]:
        yield Grade.FAILURE, "The server is a read-only standby.", "Point DATABASE_URL at the primary."


def _durability(settings: Settings) -> Found:
    """A commit that is not on the disk is a payment that can be lost."""
    loose = [name for name in ("fsync", "full_page_writes") if _setting_of(name) == "off"]
    if _setting_of("synchronous_commit") == "off":
        loose.append("synchronous_commit")
    grade = Grade.FAILURE if settings.environment == "production" else Grade.WARNING
    if loose:
        yield (
            grade,
            f"{' and '.join(loose)} off: a crash loses payments.",
            "Set them to on in postgresql.conf.",
        )
    else:
        yield _well("commits wait for the disk")


def _connections(settings: Settings) -> Found:
    row = _one(
        "SELECT current_setting('max_connections')::int AS most,"
        " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used"
    )
    said = f"{row['used']} of {row['most']} connections used, {settings.db_pool_size} a process"
    if row["most"] - row["used"] < 2 * settings.db_pool_size:
        yield Grade.WARNING, said, "Raise max_connections, lower DB_POOL_SIZE, or put PgBouncer in between."
    else:
        yield _well(said)


def _clock_skew(_settings: Settings) -> Found:
    skew = min((_measure_skew() for _ in range(3)), key=abs)
    said = f"this machine is {abs(skew):.3f} s {'behind' if skew > 0 else 'ahead of'} the database"
    cure = "Synchronise both machines' clocks (chrony, systemd-timesyncd)."
    if abs(skew) > SKEW_FAILS_S:
        yield Grade.FAILURE, said, cure
    elif abs(skew) > SKEW_WARNS_S:
        yield Grade.WARNING, said, cure
    else:
        yield _well(said)


def _measure_skew() -> float:
    before = time.time()
    theirs = float(_one("SELECT extract(epoch FROM clock_timestamp())::float8 AS at")["at"])
    return theirs - (before + time.time()) / 2


def _migrations(_settings: Settings) -> Found:
    script = ScriptDirectory(str(MIGRATIONS))
    heads = set(script.get_heads())
    if not _one("SELECT to_regclass('alembic_version') IS NOT NULL AS there")["there"]:
        yield Grade.FAILURE, "The database is empty.", "Run: flask db upgrade"
        return
    present = {row["version_num"] for row in _all("SELECT version_num FROM alembic_version")}
    known = {revision.revision for revision in script.walk_revisions()}
    if present == heads:
        yield _well(f"at {', '.join(sorted(heads))}, the newest")
    elif present - known:
        yield (
            Grade.FAILURE,
            f"The database is at {', '.join(sorted(present))}, which this version does not know.",
            "Start the version of Nostro that migrated it, or a newer one.",
        )
    else:
        yield (
            Grade.FAILURE,
            f"The database is at {', '.join(sorted(present)) or 'nothing'}, the newest is {', '.join(sorted(heads))}.",
            "Run: flask db upgrade",
        )


def _extensions(_settings: Settings) -> Found:
    present = {row["extname"] for row in _all("SELECT extname FROM pg_extension")}
    missing = [name for name in EXTENSIONS if name not in present]
    for name in missing:
        yield Grade.FAILURE, f"{name} is missing.", f"As a superuser: CREATE EXTENSION {name};"
    if not missing:
        yield _well(", ".join(EXTENSIONS))


_INDEXES = """
SELECT c.relname AS name, i.indisvalid AND i.indisready AS is_usable
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relnamespace = current_schema()::regnamespace
"""


def _indexes(_settings: Settings) -> Found:
    usable = {row["name"]: row["is_usable"] for row in _all(_INDEXES)}
    wanted = sorted(_index_names())
    for name in wanted:
        if name not in usable:
            yield (
                Grade.FAILURE,
                f"{name} is missing.",
                "Run: flask db upgrade; if it stays, restore the schema.",
            )
        elif not usable[name]:
            yield Grade.FAILURE, f"{name} is not valid.", f"REINDEX INDEX CONCURRENTLY {name};"
    if all(usable.get(name) for name in wanted):
        yield _well(f"all {len(wanted)} are there and valid")


def _index_names() -> Iterator[str]:
    """Every index that the tables declare, those of unique constraints and primary keys too."""
    for table in Base.metadata.tables.values():
        unique = [rule for rule in table.constraints if isinstance(rule, UniqueConstraint)]
        yield from (str(rule.name) for rule in (table.primary_key, *unique))
        yield from (str(index.name) for index in table.indexes)


def _acting_clock(_settings: Settings) -> Found:
    rows = _all(
        "SELECT extract(epoch FROM clock_timestamp() - max(beat_at))::float8 AS silent_s FROM heartbeat"
        " WHERE role = 'clock'"
    )
    silent = rows[0]["silent_s"]
    if silent is None:
        yield Grade.WARNING, "No clock has ever run: no deadline is acted on.", "Start: flask clock"
    elif silent > CLOCK_IS_SILENT_S:
        yield (
            Grade.WARNING,
            f"No clock has run for {silent:.0f} s: no deadline is acted on.",
            "Start: flask clock",
        )
    else:
        yield _well(f"a clock acted {silent:.1f} s ago")


def _stopped_queues(_settings: Settings) -> Found:
    rows = _all("SELECT queue, state, reason FROM queue_stop ORDER BY queue")
    for row in rows:
        yield (
            Grade.WARNING,
            f"The queue {row['queue']} is {row['state']}: {row['reason']}",
            f"When that is over: flask queues resume {row['queue']} --reason ...",
        )
    if not rows:
        yield _well("no queue is stopped")


def _redis(settings: Settings) -> Found:
    with own_client(settings) as client:
        client.ping()
        told: dict[str, Any] = client.info("server")
        version = str(told.get("redis_version", "0"))
        memory: dict[str, Any] = client.info("memory")
    name = f"{told.get('server_name') or 'redis'} {told.get('valkey_version') or version}"
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        yield Grade.FAILURE, name, "Upgrade to Redis 7 (or Valkey) or newer."
        return
    yield _well(f"{name} answers")
    if memory.get("maxmemory") and memory.get("maxmemory_policy") == "noeviction":
        yield (
            Grade.WARNING,
            "When its memory is full, it refuses writes.",
            "Give it more memory: with another maxmemory-policy it would lose hints and counters.",
        )


def _disk(settings: Settings) -> Found:
    folder = settings.uploads_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=folder) as trial:
        trial.write(b"doctor")
        trial.flush()
        os.fsync(trial.fileno())
    usage = shutil.disk_usage(folder)
    said = f"{usage.free / 2**30:.1f} GiB ({usage.free / usage.total:.0%}) free for uploads"
    cure = f"Free space on the disk of {folder}, or move UPLOADS_DIR."
    if usage.free / usage.total < DISK_FAILS:
        yield Grade.FAILURE, said, cure
    elif usage.free / usage.total < DISK_WARNS:
        yield Grade.WARNING, said, cure
    else:
        yield _well(said)
    if folder.stat().st_mode & 0o077:
        yield Grade.WARNING, "Other users of this machine may enter UPLOADS_DIR.", f"chmod 700 {folder}"


def _uploads(_settings: Settings) -> Found:
    """Tries what the reader of strangers' files could still do on this machine, if a file took it over."""
    try:
        found = probe()
    except Killed as killed:
        yield (
            Grade.FAILURE,
            f"The reader of uploaded files does not work ({killed.reason}): every receipt is refused.",
            "Run Python with 512 MiB of memory to spare; is requirements.txt installed?",
        )
        return
    open_doors = sorted(name.replace("_", " ") for name, is_so in found.items() if is_so and name in _DOORS)
    network = "a network of its own" if found["has_own_network"] else "no network of its own"
    cure = "Let the process set a seccomp filter and start it on x86_64 or aarch64: docs/running.md, Reading uploads."
    if open_doors:
        yield Grade.WARNING, f"The reader of uploaded files {' and '.join(open_doors)}.", cure
    elif not found["is_filtered"]:
        yield Grade.WARNING, f"Uploaded files are read without a filter of system calls; {network}.", cure
    else:
        yield _well(f"uploaded files are read with a filter of system calls and {network}")


_DOORS = frozenset({"opens_files", "opens_sockets", "starts_processes"})
EXAMINATIONS: tuple[Examination, ...] = (
    Examination("configuration", _configuration),
    Examination("database", _postgres),
    Examination("redis", _redis),
    Examination("disk", _disk),
    Examination("uploads", _uploads),
    Examination("durability", _durability, needs_database=True),
    Examination("connections", _connections, needs_database=True),
    Examination("clock skew", _clock_skew, needs_database=True),
    Examination("migrations", _migrations, needs_database=True),
    Examination("extensions", _extensions, needs_database=True),
    Examination("indexes", _indexes, needs_database=True),
    Examination("acting clock", _acting_clock, needs_database=True),
    Examination("stopped queues", _stopped_queues, needs_database=True),
)

_CURES = {
    "database": "Is PostgreSQL running, and is DATABASE_URL right?",
    "redis": "Is Redis running, and is REDIS_URL right?",
    "disk": "Make UPLOADS_DIR a folder that this user may write.",
}


def examine(settings: Settings, examinations: tuple[Examination, ...] = EXAMINATIONS) -> Iterator[Diagnosis]:
    """Run each examination. Needs an application context; reads only, but for a trial file among the uploads."""
    has_database = True
    for examination in examinations:
        if examination.needs_database and not has_database:
            continue
        for diagnosis in _looked(examination, settings):
            if examination.name == "database" and diagnosis.grade is Grade.FAILURE:
                has_database = False
            yield diagnosis


def _looked(examination: Examination, settings: Settings) -> list[Diagnosis]:
    try:
        found = list(examination.look(settings))
    except (SQLAlchemyError, DriverError, redis.RedisError, OSError) as error:
        cure = _CURES.get(examination.name, "See what it says; the other findings may explain it.")
        found = [(Grade.FAILURE, _first_line(error), cure)]
    return [Diagnosis(examination.name, *each) for each in found]


def _first_line(error: Exception) -> str:
    """The driver's own words: SQLAlchemy adds the statement, and a link to its pages."""
    origin = getattr(error, "orig", None) or error
    return (str(origin).strip() or type(origin).__name__).splitlines()[0]


def _all(sql: str) -> list[dict[str, Any]]:
    with transaction():
        return hot(sql)


def _one(sql: str) -> dict[str, Any]:
    return _all(sql)[0]


def _setting_of(name: str) -> str:
    return str(_one(f"SELECT current_setting('{name}') AS value")["value"])
