"""One encrypted file with a whole installation: the database at one moment, and the uploaded files.

Inside the seal is a tar: `manifest.json` (what the database held in the dump's own snapshot), the dump of
pg_dump in its custom format in parts, the files under their keys, and `end.json`. Settings and keys are not in it.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import psycopg
from psycopg import sql

from portal.ops.postgres_programs import conninfo_of, find_programs, target_of
from portal.ops.sealed_file import SealedReader, SealedWriter

MANIFEST, END, DUMP, FILES = "manifest.json", "end.json", "database/", "uploads/"
PART = 8 << 20
_FILE_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)
# What is going on, how much of it is done, and of how much.
Tell = Callable[[str, int, int], None]


class BackupFailed(Exception):
    """It can't be made, read or restored; the message is one sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the dump's snapshot held: a restored copy must hold the same."""

    taken_at: str
    revision: str
    postgres: int
    rows: dict[str, int]
    newest_seal: str | None
    missing_files: list[str]


@dataclass(slots=True)
class Contents:
    """What a whole archive turned out to hold."""

    manifest: Manifest
    dump_bytes: int = 0
    files: int = 0
    file_bytes: int = 0
    lost_files: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return asdict(self)


def create_backup(
    target: Path,
    secret: bytes,
    database_url: str,
    uploads: Path,
    references: Sequence[tuple[str, str]],
    tell: Tell,
) -> Contents:
    """Write the backup to `target`, which must not exist; there is no such file until it is whole.

    `references` are the columns that name uploaded files: what they name and is not there is in the manifest.
    Runs beside everything else: takes one snapshot, and no lock but those of pg_dump. Raises BackupFailed,
    ProgramsMissing, OSError, psycopg.Error.
    """
    if target.exists():
        raise BackupFailed(f"{target} exists already.")
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            contents = _write(file, secret, database_url, uploads, references, tell)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return contents


def _write(
    file: BinaryIO,
    secret: bytes,
    database_url: str,
    uploads: Path,
    references: Sequence[tuple[str, str]],
    tell: Tell,
) -> Contents:
    sealed = SealedWriter(file, secret)
    with tarfile.open(fileobj=cast("IO[bytes]", sealed), mode="w|", bufsize=1 << 18) as tar:
        with _snapshot(database_url) as (connection, snapshot):
            manifest = _manifest(connection, uploads, references)
            contents = Contents(manifest)
            _add(tar, MANIFEST, json.dumps(asdict(manifest)).encode())
            contents.dump_bytes = _add_dump(tar, database_url, snapshot, manifest, tell)
        _add_files(tar, uploads, contents, tell)
        _add(tar, END, json.dumps(contents.told()).encode())
    sealed.finish()
    return contents


@contextmanager
def _snapshot(database_url: str) -> Iterator[tuple[psycopg.Connection[Any], str]]:
    """A read-only transaction whose view of the database pg_dump takes over."""
    with psycopg.connect(
        conninfo_of(database_url), connect_timeout=10, application_name="nostro backup"
    ) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        yield connection, str(row[0])


def _manifest(
    connection: psycopg.Connection[Any], uploads: Path, references: Sequence[tuple[str, str]]
) -> Manifest:
    wanted: set[str] = set()
    for table, column in references:
        query = sql.SQL("SELECT {0} FROM {1} WHERE {0} IS NOT NULL").format(
            sql.Identifier(column), sql.Identifier(table)
        )
        wanted |= {str(row[0]) for row in connection.execute(query)}
    return Manifest(
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        revision=str(_scalar(connection, "SELECT string_agg(version_num, ',') FROM alembic_version")),
        postgres=int(_scalar(connection, "SHOW server_version_num")) // 10_000,
        rows=count_rows(connection),
        newest_seal=_scalar(
            connection, "SELECT encode(hash, 'hex') FROM audit_seal ORDER BY sequence DESC LIMIT 1"
        ),
        missing_files=sorted(key for key in wanted if not (uploads / key[:2] / key).is_file()),
    )


def _scalar(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def count_rows(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """The exact number of rows of every table."""
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
    ).fetchall()
    counted = {}
    for (name,) in tables:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()
        counted[str(name)] = int(row[0]) if row else 0
    return counted


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    tar.addfile(entry, io.BytesIO(content))


def _add_dump(tar: tarfile.TarFile, database_url: str, snapshot: str, manifest: Manifest, tell: Tell) -> int:
    target, environment = target_of(database_url)
    program = find_programs(manifest.postgres) / "pg_dump"
    command = [
        str(program), "--format=custom", "--verbose", "--no-owner", "--no-privileges", "--no-password",
        f"--snapshot={snapshot}", target,
    ]  # fmt: skip
    total, number, size = len(manifest.rows), 0, 0
    with _Listener(command, environment, lambda done: tell("database", done, total)) as listener:
        while part := listener.process.stdout.read(PART):  # type: ignore[union-attr]
            _add(tar, f"{DUMP}{number:06d}", part)
            number, size = number + 1, size + len(part)
    return size


class _Listener:
    """pg_dump at work: its data on stdout, its words about each table on stderr heard by a thread."""

    def __init__(self, command: list[str], environment: dict[str, str], heard: Callable[[int], None]) -> None:
        self._heard, self._last = heard, ""
        self.process = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL, arguments of our own
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def _listen(self) -> None:
        tables = 0
        for line in self.process.stderr or ():
            self._last = line.decode(errors="replace").strip()
            if "dumping contents of table" in self._last:
                tables += 1
                self._heard(tables)

    def __enter__(self) -> _Listener:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_rest: object) -> None:
        if kind is not None:
            self.process.kill()
        code = self.process.wait()
        self._thread.join()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        if kind is None and code != 0:
            raise BackupFailed(f"pg_dump failed ({code}): {self._last}")


def _add_files(tar: tarfile.TarFile, uploads: Path, contents: Contents, tell: Tell) -> None:
    """What is there after the dump: a file is written before its row, so none that a row names is left out."""
    found = sorted(path for path in uploads.glob("??/*") if _FILE_KEY.fullmatch(path.name))
    for done, path in enumerate(found, start=1):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            contents.lost_files.append(path.name)  # deleted on purpose in this very moment
            continue
        _add(tar, f"{FILES}{path.name}", content)
        contents.files += 1
        contents.file_bytes += len(content)
        tell("files", done, len(found))


class Sink:
    """What becomes of an archive's parts as they are read; this one forgets them."""

    def begin(self, manifest: Manifest) -> None:
        """The manifest, before anything else."""

    def dump(self, part: bytes) -> None:
        """The next bytes of the dump."""

    def file(self, key: str, content: bytes) -> None:
        """One uploaded file."""


def read_backup(source: Path, secret: bytes, sink: Sink, tell: Tell) -> Contents:
    """Decrypt and check all of the file, handing its parts to `sink`.

    Raises SealBroken for a changed or shortened file or another key, BackupFailed for one that does not add up.
    """
    total = source.stat().st_size
    with source.open("rb") as file:
        sealed = SealedReader(file, secret)
        contents: Contents | None = None
        told: dict[str, Any] | None = None
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", sealed), mode="r|", bufsize=1 << 18) as tar:
                for entry in tar:
                    content = cast("IO[bytes]", tar.extractfile(entry)).read()
                    if entry.name == END:
                        told = json.loads(content)
                        continue
                    contents = _take(entry.name, content, contents, sink)
                    tell("backup", file.tell(), total)
            while sealed.read(1 << 20):
                pass  # to the last chunk, which proves that nothing is cut off
        except tarfile.TarError as error:
            raise BackupFailed(f"The archive inside can't be read: {error}") from None
    if contents is None or told is None:
        raise BackupFailed("The backup is not whole.")
    if (told["dump_bytes"], told["files"], told["file_bytes"]) != (
        contents.dump_bytes, contents.files, contents.file_bytes,
    ):  # fmt: skip
        raise BackupFailed("The backup does not hold what it says.")
    contents.lost_files = told["lost_files"]
    return contents


def _take(name: str, content: bytes, contents: Contents | None, sink: Sink) -> Contents:
    if name == MANIFEST:
        contents = Contents(Manifest(**json.loads(content)))
        sink.begin(contents.manifest)
        return contents
    if contents is None:
        raise BackupFailed("The backup does not begin with its manifest.")
    if name.startswith(DUMP):
        sink.dump(content)
        contents.dump_bytes += len(content)
    elif _FILE_KEY.fullmatch(name.removeprefix(FILES)):
        sink.file(name.removeprefix(FILES), content)
        contents.files += 1
        contents.file_bytes += len(content)
    else:
        raise BackupFailed(f"The backup holds something unknown: {name[:60]!r}.")
    return contents


class DumpReader(Sink):
    """Feeds the dump to pg_restore, which decompresses and reads all of it: into a database, or for the check alone."""

    def __init__(self, database_url: str | None = None) -> None:
        self._database_url = database_url
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, manifest: Manifest) -> None:
        program = str(find_programs(manifest.postgres) / "pg_restore")
        command, environment = [program, "--file=/dev/null"], None
        if self._database_url is not None:
            target, environment = target_of(self._database_url)
            command = [
                program, "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges",
                "--no-password", target,
            ]  # fmt: skip
        self._process = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL, arguments of our own
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def dump(self, part: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(part)
        except BrokenPipeError:
            self.finish()

    def finish(self) -> None:
        """Wait until all of it is read. Raises BackupFailed with pg_restore's words."""
        if self._process is None:
            return
        process, self._process = self._process, None
        _out, said = process.communicate()
        if process.returncode != 0:
            last = said.decode(errors="replace").strip().splitlines()
            raise BackupFailed(f"pg_restore failed ({process.returncode}): {' '.join(last[-3:])}")

    def abandon(self) -> None:
        """End pg_restore after a failure elsewhere."""
        if self._process is not None:
            self._process.kill()
            with suppress(OSError, ValueError):
                self._process.communicate()
            self._process = None
