"""Disks that are full: the data's, the write-ahead log's, the uploads', the logs'."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.faults.disks import FILLER, fill, free, megabytes, move, needs_mounts, small_disk
from tests.faults.load import Load
from tests.faults.processes import wait_until
from tests.faults.stage import DATABASE, Stage

Fault = Callable[[str, int], None]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]


def create(stage: Stage) -> httpx.Response:
    body = {"direction": "payin", "amount": "1500.00", "currency": "RUB", "method": "card"}
    key = {
        "Idempotency-Key": uuid.uuid4().hex,
        "Authorization": f"Bearer {stage.world['simulation']['api_key']}",
    }
    return httpx.post(f"{stage.base_url}/api/v1/orders", json=body, headers=key, timeout=20)


def read_orders(stage: Stage) -> int:
    key = {"Authorization": f"Bearer {stage.world['simulation']['api_key']}"}
    return httpx.get(f"{stage.base_url}/api/v1/orders", headers=key, timeout=20).status_code


def bare_500s(load: Load) -> list[str]:
    return [kind for kind in load.tally.errors if ": 500" in kind]


@contextmanager
def data_on(stage: Stage, mb_free: int) -> Iterator[Path]:
    """The stage's database on a small disk with so much room, while this lasts."""
    size = stage.one("SELECT pg_database_size(%s) >> 20", DATABASE) + mb_free
    owner = stage.postgres_data().stat()
    elsewhere = stage.postgres.url().replace("postgresql+psycopg://", "postgresql://", 1)
    with small_disk(stage.folder / "small", size) as disk:
        os.chown(disk, owner.st_uid, owner.st_gid)
        stage.stop_actors()
        with psycopg.connect(elsewhere, autocommit=True) as server:
            server.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            server.execute(f"ALTER DATABASE {DATABASE} SET TABLESPACE small")
        stage.revive()
        try:
            yield disk
        finally:
            free(disk)
            stage.stop_actors()
            with psycopg.connect(elsewhere, autocommit=True) as server:
                server.execute(f"ALTER DATABASE {DATABASE} SET TABLESPACE pg_default")
                server.execute("DROP TABLESPACE small")
            stage.revive()


@needs_mounts
@pytest.mark.proves("F18")
def test_a_full_data_disk_refuses_what_must_write_and_goes_on_when_there_is_room(
    stage: Stage, fault: Fault
) -> None:
    with data_on(stage, 48) as disk:
        with stage.load(seed=18) as load:
            fill(disk)
            wait_until(
                lambda: create(stage).status_code == 503,
                60,
                "an order is refused for want of room",
                every_s=0.02,
            )
            assert read_orders(stage) == 200
            assert httpx.get(f"{stage.base_url}/healthz", timeout=5).status_code == 200
            free(disk)
            wait_until(lambda: create(stage).status_code == 201, 20, "orders again")
            acts = load.acts
            wait_until(lambda: load.acts > acts + 10, 30, "work goes on")
            assert bare_500s(load) == []
        stage.quiesce()
    fault("the database's tablespace on a tmpfs, filled to the last byte under load, freed", 1)


@contextmanager
def log_on(stage: Stage, mb_free: int) -> Iterator[Path]:
    """The stage's write-ahead log on a small disk with so much room, while this lasts."""
    place = stage.postgres_data() / "pg_wal"
    stage.stop_actors()
    stage.postgres.stop()
    with small_disk(stage.folder / "small", megabytes(place) + mb_free) as disk:
        owner = place.stat()
        os.chown(disk, owner.st_uid, owner.st_gid)
        move(place, disk / "pg_wal")
        place.symlink_to(disk / "pg_wal")
        stage.revive()
        try:
            yield disk
        finally:
            free(disk)
            stage.revive()
            stage.stop_actors()
            stage.postgres.stop()
            place.unlink()
            move(disk / "pg_wal", place)
            stage.revive()


@needs_mounts
@pytest.mark.proves("F19")
def test_a_full_disk_of_the_write_ahead_log_loses_nothing_that_was_acknowledged(
    stage: Stage, fault: Fault
) -> None:
    with log_on(stage, 48) as disk:
        with stage.load(150, seed=19) as load:
            fill(disk)
            # The last segment still has room; the next one is asked for by force.
            with suppress(psycopg.Error):
                while True:
                    stage.sql("SELECT pg_switch_wal()")
                    stage.sql("UPDATE heartbeat SET beat_at = beat_at WHERE role = 'probe'")
            wait_until(lambda: stage.readiness()[0] == 503, 30, "/readyz is red")
            time.sleep(3)
            free(disk)
            # As its supervisor would.
            stage.postgres.start()
            stage.wait_until_ready(30)
            acts = load.acts
            wait_until(lambda: load.acts > acts + 10, 30, "work goes on")
            assert bare_500s(load) == []
            acknowledged = len(load.told())
        stage.quiesce()
    fault(f"pg_wal on a tmpfs, filled under load, freed; {acknowledged} acknowledged steps found again", 1)


@needs_mounts
@pytest.mark.proves("F20")
def test_a_full_disk_of_uploads_refuses_the_upload_and_nothing_else(stage: Stage, fault: Fault) -> None:
    web, usual = stage.actors["web"], stage.folder / "uploads"
    with small_disk(stage.folder / "small", 1) as disk:
        web.kill()
        web.start(UPLOADS_DIR=str(disk))
        stage.wait_until_ready()
        fill(disk)
        before = kept(disk)
        with stage.load(150, seed=20) as load:
            wait_until(lambda: refused_proofs(load), 60, "a proof is refused")
            confirmed = load.tally.counts["confirmed"]
            wait_until(lambda: load.tally.counts["confirmed"] > confirmed, 30, "payins go on")
            assert load.tally.counts["paid out"] == 0
            assert bare_500s(load) == []
            assert kept(disk) == before
            assert stage.sql("SELECT 1 FROM receipt WHERE created_at > now() - interval '10 s'") == []
            free(disk)
            wait_until(lambda: load.tally.counts["paid out"], 60, "proofs again")
        stage.quiesce()
        web.kill()
        usual.mkdir(exist_ok=True)
        for path in disk.iterdir():
            subprocess.run(["cp", "-a", "--", path, usual], check=True)
    web.start(UPLOADS_DIR=str(usual))
    stage.wait_until_ready()
    fault("uploads on a tmpfs, filled; payouts' proofs sent under load; freed", 1)


def kept(disk: Path) -> list[str]:
    """Files that people sent; not those that uploads take turns by, which hold nothing."""
    sent = (path for path in disk.rglob("*") if path.is_file() and ".turns" not in path.parts)
    return sorted(str(path) for path in sent if path.name != FILLER)


def refused_proofs(load: Load) -> int:
    return sum(n for kind, n in load.tally.errors.items() if kind in {"payout paid: 503", "payout paid: 507"})


@pytest.mark.proves("F21")
def test_a_reader_of_logs_that_hangs_costs_lines_and_no_requests(stage: Stage, fault: Fault) -> None:
    web, usual = stage.actors["web"], stage.actors["web"].log
    pipe = stage.folder / "web.pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        web.kill()
        web.log = pipe
        web.start()
        stage.wait_until_ready()
        _stuff(reader)
        with stage.load(200, seed=21) as load:
            acts = load.acts
            wait_until(lambda: load.acts > acts + 60, 60, "work goes on though nobody reads")
            assert not load.tally.errors, load.tally.errors
    finally:
        web.kill()
        web.log = usual
        os.close(reader)
        web.start()
    stage.quiesce()
    fault("the web server's stderr is a pipe that is full and that nobody reads, under load", 1)


def _stuff(pipe: int) -> None:
    try:
        while True:
            os.write(pipe, b"x")
    except BlockingIOError:
        return


@needs_mounts
@pytest.mark.proves("F21")
def test_a_full_disk_of_logs_costs_lines_and_no_requests(stage: Stage, fault: Fault) -> None:
    usual = {role: actor.log for role, actor in stage.actors.items()}
    with small_disk(stage.folder / "small", 1) as disk:
        for role, actor in stage.actors.items():
            actor.kill()
            actor.log = disk / f"{role}.log"
            actor.start()
        stage.wait_until_ready()
        fill(disk)
        with stage.load(200, seed=22) as load:
            acts = load.acts
            wait_until(lambda: load.acts > acts + 60, 60, "work goes on")
            assert not load.tally.errors, load.tally.errors
        stage.quiesce()
        for role, actor in stage.actors.items():
            actor.kill()
            actor.log = usual[role]
            actor.start()
    stage.wait_until_ready()
    fault("the logs of all processes on a tmpfs, filled under load", 1)
