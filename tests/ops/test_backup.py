"""`flask backup`: what is restored is what was backed up, into a new place, and a changed file is refused."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Text

from portal.audit.sealing import seal_waiting
from portal.audit.service import record_audit
from portal.cli.ledger import TITLES
from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.db import Base, db, hot, transaction
from portal.core.files import get_files
from portal.embedded import EmbeddedPostgres
from portal.embedded.place import forget
from portal.ops.postgres_programs import ProgramsMissing, conninfo_of, find_programs, target_of
from portal.ops.stored_files import FILE_REFERENCES
from portal.orders.models import ReceiptKind
from portal.orders.queries import get_order
from portal.orders.receipts import add_receipt
from portal.orders.service import claim_payin, confirm_payin
from portal.settings import get_settings
from tests.scene import Scene, as_trader, build_scene
from tests.servers import NOT_DURABLE, drop_databases
from tests.web.desk import upload

KEY = "k" * 40


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup")


@pytest.fixture
def uploads(committed_db: Flask, module_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this module's receipts are, and no other test's; committed_db puts the settings back."""
    monkeypatch.setenv("UPLOADS_DIR", str(module_folder / "uploads"))
    get_settings.cache_clear()
    return module_folder / "uploads"


@pytest.fixture
def lived_in(committed_db: Flask, uploads: Path) -> Scene:
    """A payin that was paid with a receipt, one that is open, a sealed audit log. Made once."""
    known = getattr(committed_db, "backup_scene", None)
    if known is not None:
        return known  # type: ignore[no-any-return]
    with transaction():
        scene = build_scene()
        record_audit("test.done", actor=SYSTEM)
    with transaction():
        seal_waiting()
    trader = scene.trader()
    scene.requisite(trader)
    paid = scene.payin(1500_00)
    scene.payin(1700_00)
    with transaction():
        order = get_order(paid.id, lock=True)
        add_receipt(order, upload(), ReceiptKind.PAYMENT, actor=CUSTOMER)
        confirm_payin(claim_payin(order, None, actor=CUSTOMER), None, actor=as_trader(trader))
    committed_db.backup_scene = scene  # type: ignore[attr-defined]
    return scene


@pytest.fixture
def key_file(module_folder: Path) -> Path:
    path = module_folder / "key"
    path.write_text(KEY + "\n")
    return path


def flask(app: Flask, *arguments: object) -> Result:
    return app.test_cli_runner().invoke(args=["backup", *map(str, arguments)])


def told(result: Result, code: int = 0) -> dict[str, Any]:
    assert result.exit_code == code, result.output
    assert result.stdout.startswith("{"), result.output
    return dict(json.loads(result.stdout))


@pytest.fixture
def made(committed_db: Flask, lived_in: Scene, key_file: Path, module_folder: Path) -> Path:
    """One backup for all tests of this module."""
    target = module_folder / "nostro.backup"
    if not target.exists():
        told(flask(committed_db, "create", target, "--key-file", key_file, "--json"))
    return target


@pytest.fixture
def new_name(committed_db: Flask) -> Iterator[str]:
    name = f"{db.engine.url.database}_restored"
    yield name
    drop_databases(get_settings().database_url.get_secret_value(), name)


def test_a_backup_says_what_it_holds_and_only_its_owner_may_read_it(
    committed_db: Flask, made: Path, key_file: Path, lived_in: Scene
) -> None:
    said = told(flask(committed_db, "verify", made, "--key-file", key_file, "--json"))
    assert said["manifest"]["rows"]["orders"] == 2
    assert (said["files"], said["manifest"]["missing_files"], said["ok"]) == (1, [], True)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert list(made.parent.glob(".*.unfinished")) == []
    assert b"CREATE TABLE" not in made.read_bytes()
    assert "TARA" not in made.read_bytes().decode("latin-1")


def test_a_restored_backup_is_the_same_and_its_ledger_holds(
    committed_db: Flask, made: Path, key_file: Path, lived_in: Scene, new_name: str, tmp_path: Path
) -> None:
    uploads = tmp_path / "uploads"
    arguments = ("restore", made, "--database", new_name, "--uploads", uploads, "--key-file", key_file)
    said = told(flask(committed_db, *arguments, "--json"))
    assert (said["findings"], said["checks"]) == ([], len(TITLES))
    query = (
        "SELECT id::text, status, version, amount_minor, encode(token_hash, 'hex') FROM orders ORDER BY id"
    )
    with psycopg.connect(
        conninfo_of(str(get_settings().database_url.get_secret_value())).replace(
            f"/{db.engine.url.database}?", f"/{new_name}?"
        )
    ) as restored:
        assert restored.execute(query).fetchall() == [tuple(row.values()) for row in hot(query)]
        with pytest.raises(psycopg.Error):
            restored.execute("UPDATE ledger_posting SET amount = 1")
    (kept,) = uploads.glob("??/*")
    assert kept.read_bytes() == get_files().read(kept.name)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    again = flask(committed_db, *arguments[:5], tmp_path / "other", "--key-file", key_file)
    assert (again.exit_code, "exists already" in again.output) == (1, True)


def test_a_copy_that_lacks_something_or_whose_ledger_is_broken_is_told(
    committed_db: Flask,
    made: Path,
    key_file: Path,
    new_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from portal.cli import backup as command

    whole = command.restore_backup

    def spoilt(*arguments: Any) -> Any:
        url, contents = whole(*arguments)
        with psycopg.connect(conninfo_of(url)) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(
                "UPDATE ledger_posting SET amount = amount + 1 WHERE id = (SELECT min(id) FROM ledger_posting)"
            )
            connection.execute("DELETE FROM order_event WHERE id = (SELECT max(id) FROM order_event)")
            connection.execute("UPDATE requisite SET number_encrypted = 'dev\\000damaged'")
        shutil.rmtree(tmp_path / "uploads")
        return url, contents

    monkeypatch.setattr(command, "restore_backup", spoilt)
    uploads = tmp_path / "uploads"
    result = flask(
        committed_db,
        "restore",
        made,
        "--database",
        new_name,
        "--uploads",
        uploads,
        "--key-file",
        key_file,
        "--json",
    )
    findings = "\n".join(told(result, code=1)["findings"])
    for what in (
        "order_event had",
        "every entry sums to zero",
        "requisite.number_encrypted",
        "there were 1 files",
    ):
        assert what in findings


def test_a_broken_backup_leaves_no_database_and_no_files(
    committed_db: Flask, made: Path, key_file: Path, new_name: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    content = bytearray(made.read_bytes())
    content[-5] ^= 1
    broken.write_bytes(content)
    assert flask(committed_db, "verify", broken, "--key-file", key_file).exit_code == 1
    uploads = tmp_path / "uploads"
    result = flask(
        committed_db, "restore", broken, "--database", new_name, "--uploads", uploads, "--key-file", key_file
    )
    assert (result.exit_code, "damaged or cut off" in result.output) == (1, True)
    assert not uploads.exists()
    assert hot("SELECT 1 FROM pg_database WHERE datname = %(name)s", {"name": new_name}) == []


def _commands_after_a_total_loss() -> list[list[str]]:
    """The lines that docs/operating.md gives to whoever has nothing but a backup and the keys."""
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    block = page.partition("After a total loss")[2].partition("```sh\n")[2].partition("```")[0]
    return [shlex.split(line, comments=True) for line in block.strip().splitlines()]


@pytest.mark.proves("tried N8")
@pytest.mark.timeout(300)
@pytest.mark.stages
def test_what_is_written_for_a_total_loss_works_on_a_fresh_server(
    committed_db: Flask, made: Path, key_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = Path(tempfile.mkdtemp(prefix="nostro-lost-"))
    place.chmod(0o711)
    uploads = place / "uploads"
    try:
        with EmbeddedPostgres(place / "postgres", gucs=NOT_DURABLE) as fresh:
            environment = os.environ | {
                "DATABASE_URL": fresh.replace("postgres@/postgres", "nostro@/nostro"),
                "UPLOADS_DIR": str(uploads),
                "BACKUP_KEY": key_file.read_text().strip(),
                "FLASK_APP": "wsgi:app",
            }
            first, *others = _commands_after_a_total_loss()
            assert first[:4] == ["psql", "-d", "postgres", "-c"]
            with psycopg.connect(conninfo_of(fresh), autocommit=True) as connection:
                connection.execute(first[4].encode())
            assert [line[:2] for line in others] == [
                ["flask", "backup"],
                ["flask", "doctor"],
                ["flask", "ledger"],
            ]
            for line in others:
                words = [{"/backups/nostro-2026-11-23.backup": str(made), "/srv/nostro/uploads": str(uploads)}.get(word, word) for word in line]  # fmt: skip
                ran = subprocess.run(
                    [sys.executable, "-m", *words], cwd=Path(__file__).parents[2], env=environment,
                    capture_output=True, text=True, timeout=120, check=False,
                )  # fmt: skip
                assert ran.returncode == 0, f"{' '.join(line)}: {ran.stdout}{ran.stderr}"
        assert len(list(uploads.glob("??/*"))) == 1
    finally:
        forget(place / "postgres")
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.proves("tried N8")
def test_an_empty_database_and_folder_are_filled_and_a_failure_leaves_them_empty(
    committed_db: Flask, made: Path, key_file: Path, new_name: str, tmp_path: Path
) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    with psycopg.connect(
        conninfo_of(get_settings().database_url.get_secret_value()), autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {new_name} TEMPLATE template0 ENCODING 'UTF8'".encode())
    arguments = ("--database", new_name, "--uploads", uploads, "--key-file", key_file)
    broken = tmp_path / "broken"
    content = bytearray(made.read_bytes())
    content[-5] ^= 1
    broken.write_bytes(content)
    assert flask(committed_db, "restore", broken, *arguments).exit_code == 1
    assert hot("SELECT 1 AS there FROM pg_database WHERE datname = %(n)s", {"n": new_name}), (
        "who made it keeps it"
    )
    assert told(flask(committed_db, "restore", made, *arguments, "--json"))["findings"] == []
    again = flask(committed_db, "restore", made, *arguments)
    assert (again.exit_code, "exists already" in again.output) == (1, True)


def test_another_key_and_a_weak_one_are_refused(committed_db: Flask, made: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("o" * 40)
    (tmp_path / "weak").write_text("password")
    other = flask(committed_db, "verify", made, "--key-file", tmp_path / "other")
    assert (other.exit_code, "The key is another one" in other.output) == (1, True)
    weak = flask(committed_db, "create", tmp_path / "new", "--key-file", tmp_path / "weak")
    assert (weak.exit_code, "needs 32 or more" in weak.output) == (1, True)
    none = flask(committed_db, "create", tmp_path / "new")
    assert (none.exit_code, "Set BACKUP_KEY" in none.output) == (1, True)
    assert not (tmp_path / "new").exists()


def test_a_backup_never_replaces_a_file_and_leaves_nothing_half_written(
    committed_db: Flask, made: Path, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made.read_bytes()
    again = flask(committed_db, "create", made, "--key-file", key_file)
    assert (again.exit_code, made.read_bytes() == before) == (1, True)
    monkeypatch.setattr("portal.ops.backup.find_programs", lambda _major: Path("/bin/false").parent / "none")
    failed = flask(committed_db, "create", tmp_path / "new", "--key-file", key_file)
    assert (failed.exit_code, list(tmp_path.iterdir())) == (1, [])


def test_a_file_that_rows_name_and_is_not_there_is_told(
    committed_db: Flask, lived_in: Scene, key_file: Path, tmp_path: Path
) -> None:
    (row,) = hot("SELECT file_key FROM receipt")
    path = get_settings().uploads_dir.resolve() / row["file_key"][:2] / row["file_key"]
    kept = path.read_bytes()
    path.unlink()
    try:
        result = flask(committed_db, "create", tmp_path / "new", "--key-file", key_file, "--json")
    finally:
        path.write_bytes(kept)
    assert told(result)["manifest"]["missing_files"] == [row["file_key"]]


def test_the_password_is_not_among_the_arguments() -> None:
    argument, environment = target_of(
        "postgresql+psycopg://nostro:s3cret@db.example:5433/nostro?sslmode=require"
    )
    assert "s3cret" not in argument
    assert environment["PGPASSWORD"] == "s3cret"
    assert all(
        part in argument for part in ("host=db.example", "port=5433", "dbname=nostro", "sslmode=require")
    )


def test_programs_older_than_the_server_are_refused() -> None:
    with pytest.raises(ProgramsMissing, match="postgresql-client-99"):
        find_programs(99)


def test_every_column_that_names_a_file_is_known_to_backups() -> None:
    named = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Text) and column.name.endswith(("file_key", "logo_key", "picture_key"))
    }
    assert named == set(FILE_REFERENCES)
