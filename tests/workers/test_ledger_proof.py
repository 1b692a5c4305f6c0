"""The clock proves the ledger: on schedule, once, and loudly when something is broken."""

from __future__ import annotations

import logging
from threading import Barrier, Thread

import pytest
from flask import Flask

from portal.core.db import hot, release, transaction
from portal.identity.models import Role
from portal.ledger.integrity import Check
from portal.orders.integrity import proof
from portal.orders.integrity.proof import prove_ledger, prove_ledger_when_due
from portal.telemetry import recorder_of
from portal.workers import clock
from tests.scene import build_scene
from tests.web.desk import new_user

BROKEN = (Check("a check that finds something", "SELECT 'entry 7' AS example"),)


@pytest.fixture
def house(committed_db: Flask) -> Flask:
    with transaction():
        hot("DELETE FROM proof_run")
        hot("DELETE FROM error_report")
        build_scene()
    return committed_db


def proofs() -> list[dict]:
    with transaction():
        return hot("SELECT broken, checks, at FROM proof_run ORDER BY id")


def test_it_is_proved_again_when_the_last_proof_is_too_old(house: Flask) -> None:
    assert (prove_ledger_when_due(), prove_ledger_when_due()) == (1, 0)
    with transaction():
        hot("UPDATE proof_run SET at = at - interval '25 hours'")
    assert prove_ledger_when_due() == 1
    assert [one["broken"] for one in proofs()] == [0, 0]
    assert "ledger proof" in {duty.name for duty in clock.PROOFS}


def test_a_proof_by_hand_counts_for_the_schedule(house: Flask) -> None:
    assert prove_ledger() == []
    assert prove_ledger_when_due() == 0


def test_two_clocks_prove_it_once(house: Flask) -> None:
    for _ in range(5):
        with transaction():
            hot("DELETE FROM proof_run")
        _prove_at_once(house)


def _prove_at_once(house: Flask) -> None:
    gate, done = Barrier(2), []

    def act() -> None:
        with house.app_context():
            gate.wait()
            done.append(prove_ledger_when_due())
            release()

    threads = [Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(proofs()) == sum(done) == 1


def test_what_is_broken_becomes_an_error_report_and_is_told_to_administrators_once_a_day(
    house: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, support = new_user(Role.ADMIN), new_user(Role.SUPPORT)
    recorder = recorder_of(house)
    logging.getLogger().addHandler(recorder)
    monkeypatch.setattr(proof, "CHECKS", BROKEN)
    assert prove_ledger_when_due() == 1
    with transaction():
        hot("UPDATE proof_run SET at = at - interval '25 hours'")
    assert prove_ledger_when_due() == 1
    recorder.flush_reports()
    with transaction():
        told = hot("SELECT user_id, params FROM notification WHERE kind = 'ledger_broken'")
        mailed = hot(
            "SELECT count(*) AS n FROM mail WHERE kind = 'ledger_broken' AND recipient = %(to)s",
            {"to": admin.email},
        )
        reports = hot("SELECT sample FROM error_report WHERE logger = 'portal.orders.integrity.proof'")
    assert [one["broken"] for one in proofs()] == [1, 1]
    assert admin.id in {one["user_id"] for one in told}
    assert support.id not in {one["user_id"] for one in told}
    assert len([one for one in told if one["user_id"] == admin.id]) == 1
    assert mailed[0]["n"] == 1
    assert "a check that finds something" in reports[0]["sample"]
