"""`flask stores`: the tolerance of a store, told and set with a reason."""

from __future__ import annotations

import uuid

import pytest
from flask import Flask

from portal.core.db import transaction
from portal.core.ids import public_id
from portal.merchants.tolerance import Tolerance, tolerance_of
from tests.scene import USDT, Scene, build_scene


@pytest.fixture
def scene(committed_db: Flask) -> Scene:
    with transaction():
        return build_scene()


@pytest.mark.proves("tried S3")
def test_a_tolerance_is_told_and_set_with_a_reason(committed_db: Flask, scene: Scene) -> None:
    name, run = public_id("st", scene.store_id), committed_db.test_cli_runner().invoke
    assert run(args=["stores", "tolerance", name]).output == "10 bps and 1.000000 USDT\n"
    done = run(args=["stores", "tolerance", name, "--bps", "50", "--amount", "2", "--reason", "agreed"])
    assert done.output == "50 bps and 2.000000 USDT; it was 10 bps and 1.000000 USDT\n"
    with transaction():
        assert tolerance_of(scene.store_id) == Tolerance(50, 2 * USDT)


@pytest.mark.parametrize(
    "more",
    [
        ("--bps", "50"),
        ("--bps", "-1", "--reason", "x"),
        ("--bps", "501", "--reason", "x"),
        ("--amount", "100.000001", "--reason", "x"),
        ("--amount", "1.0000001", "--reason", "x"),
        ("--amount", "-1", "--reason", "x"),
        ("--amount", "1e3", "--reason", "x"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    committed_db: Flask, scene: Scene, more: tuple[str, ...]
) -> None:
    name = public_id("st", scene.store_id)
    result = committed_db.test_cli_runner().invoke(args=["stores", "tolerance", name, *more])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    with transaction():
        assert tolerance_of(scene.store_id) == Tolerance(10, 1 * USDT)


def test_an_unknown_store_is_said_to_be_none(committed_db: Flask) -> None:
    for name in ("st_x", "ord_x", public_id("st", uuid.uuid4())):
        result = committed_db.test_cli_runner().invoke(args=["stores", "tolerance", name])
        assert result.exit_code == 1
