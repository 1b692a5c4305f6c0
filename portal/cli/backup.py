"""`flask backup`: everything in one encrypted file, and the proof that it can be had back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click
import psycopg
from flask.cli import AppGroup
from pydantic import SecretStr

from portal import create_app
from portal.audit.integrity import verify_chain
from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.progress import Bars
from portal.cli.terminal import echo
from portal.core.db import db, take_time, transaction
from portal.core.db.owner_engine import owner_url
from portal.core.schema.rights import Roles, give_rights
from portal.ops.backup import BackupFailed, Contents, create_backup
from portal.ops.encrypted_columns import COLUMNS
from portal.ops.key_rotation import sample
from portal.ops.postgres_programs import ProgramsMissing, conninfo_of
from portal.ops.restore import differences, restore_backup, verify_backup
from portal.ops.sealed_file import SealBroken
from portal.ops.stored_files import FILE_REFERENCES
from portal.orders.integrity.proof import TITLES, verify_everything
from portal.settings import get_settings
from portal.table_rights import writer_rights

backup = AppGroup("backup", help="Make an encrypted backup, prove it, and restore it into a new database.")
commands = [backup]

_SHORTEST_KEY = 32
_SAMPLE = 20
KEY_FILE = click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Holds the key, 32 characters or more; BACKUP_KEY without it.",
)
FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
_EXPECTED = (BackupFailed, SealBroken, ProgramsMissing, psycopg.Error, OSError)


@backup.command("create")
@click.argument("target", type=FILE)
@KEY_FILE
@AS_JSON
def create(target: Path, key_file: Path | None, as_json: bool) -> None:
    """Write database and uploaded files to the new file TARGET, encrypted. Everything goes on meanwhile.

    The settings and keys of .env are not in it: keep FIELD_KEYS, BLIND_INDEX_KEY and SECRET_KEY elsewhere.
    """
    settings = get_settings()
    with Bars(shown=not as_json) as bars:
        try:
            contents = create_backup(
                target, _secret(key_file), settings.database_url.get_secret_value(),
                settings.uploads_dir.resolve(), FILE_REFERENCES, bars.tell,
            )  # fmt: skip
        except _EXPECTED as error:
            _fail(error)
    _tell(contents, as_json=as_json, size_bytes=target.stat().st_size, file=str(target))


@backup.command("verify")
@click.argument("source", type=EXISTING)
@KEY_FILE
@AS_JSON
def verify(source: Path, key_file: Path | None, as_json: bool) -> None:
    """Decrypt all of SOURCE and have pg_restore read all of the dump. Exit code 1 when it is not what was written."""
    with Bars(shown=not as_json) as bars:
        try:
            contents = verify_backup(source, _secret(key_file), bars.tell)
        except _EXPECTED as error:
            _fail(error)
    _tell(contents, as_json=as_json, size_bytes=source.stat().st_size, file=str(source))


@backup.command("restore")
@click.argument("source", type=EXISTING)
@click.option(
    "--database",
    required=True,
    help="Name of the new (or empty) database on the server of DATABASE_URL, which may be the one named there.",
)
@click.option(
    "--uploads",
    required=True,
    type=click.Path(path_type=Path),
    help="New (or empty) folder for the uploaded files.",
)
@KEY_FILE
@AS_JSON
def restore(source: Path, database: str, uploads: Path, key_file: Path | None, as_json: bool) -> None:
    """Restore SOURCE into a NEW database and folder, and run every check of the ledger there.

    What runs now is not touched, and nothing need run: on a fresh server the database of DATABASE_URL may be missing. Exit code 1 when the copy is not what was backed up or a check fails; the
    copy stays then, to be looked at.
    """
    server = owner_url(get_settings())
    with Bars(shown=not as_json) as bars:
        try:
            url, contents = restore_backup(
                source, _secret(key_file), server, database, uploads.resolve(), bars.tell
            )
            _hand_out(url)
            findings = differences(url, contents, uploads.resolve()) + _examine(url, contents)
        except _EXPECTED as error:
            _fail(error)
    _tell(
        contents, as_json=as_json, size_bytes=source.stat().st_size, file=str(source), database=database,
        uploads=str(uploads), checks=len(TITLES), findings=findings,
    )  # fmt: skip
    raise SystemExit(1 if findings else 0)


def _hand_out(url: str) -> None:
    """A dump holds no rights: the roles get theirs in the restored database as in a migrated one."""
    settings = get_settings()
    with psycopg.connect(conninfo_of(url), connect_timeout=10) as connection:
        give_rights(
            connection, Roles(settings.database_writer_role, settings.database_reader_role), writer_rights
        )


def _examine(url: str, contents: Contents) -> list[str]:
    """The ledger's and the orders' checks, the audit chain and the keys, all in the restored database."""
    restored = create_app(get_settings().model_copy(update={"database_url": SecretStr(url)}))
    with restored.app_context():
        try:
            found = [
                f"{one.check}: {one.count}, such as {one.examples[0]}"
                for one in verify_everything(exported=())
            ]
            with transaction():
                take_time()
                chain = verify_chain([])
            found += list(chain.findings)
            head = chain.head.hash.hex() if chain.head else None
            if head != contents.manifest.newest_seal:
                found.append(
                    f"the audit log ends with {head}, and ended with {contents.manifest.newest_seal}"
                )
            for column in COLUMNS:
                found += sample(column, _SAMPLE)[1]
        finally:
            db.session.remove()
            db.engine.dispose()
    return found


def _secret(key_file: Path | None) -> bytes:
    """The key of backups. Raises ClickException when there is none, or a short one."""
    if key_file is not None:
        secret = key_file.read_text(encoding="utf-8").strip()
    else:
        configured = get_settings().backup_key
        if configured is None:
            raise click.ClickException(
                "Set BACKUP_KEY or give --key-file. A new key: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        secret = configured.get_secret_value()
    if len(secret) < _SHORTEST_KEY:
        raise click.ClickException(f"The key has {len(secret)} characters; it needs {_SHORTEST_KEY} or more.")
    return secret.encode()


def _fail(error: Exception) -> NoReturn:
    raise click.ClickException(str(error).strip() or type(error).__name__) from None


def _tell(contents: Contents, *, as_json: bool, size_bytes: int, **more: Any) -> None:
    findings: list[str] = more.get("findings", [])
    if as_json:
        echo_json({"ok": not findings, "size_bytes": size_bytes} | contents.told() | more)
        return
    manifest = contents.manifest
    echo(f"{more['file']}: {size_bytes / 2**20:.1f} MiB, of {manifest.taken_at}")
    echo(
        f"{sum(manifest.rows.values())} rows of {len(manifest.rows)} tables at {manifest.revision};"
        f" {contents.files} files of {contents.file_bytes / 2**20:.1f} MiB."
    )
    if manifest.missing_files:
        echo(f"WARNING: {len(manifest.missing_files)} files that rows name were not there already.")
    if "database" in more:
        echo(f"Restored into the database {more['database']} and the folder {more['uploads']}.")
        for finding in findings:
            echo(f"BROKEN  {finding}")
        echo(
            f"{len(findings)} things are not as they were."
            if findings
            else f"It is what was backed up, and all {more['checks']} checks hold."
        )
