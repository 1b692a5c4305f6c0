"""A requisite that another order changes between being looked at and being locked is judged anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from flask import Flask

from portal.core.db import db, hot, transaction
from portal.core.ids import new_id
from portal.matching.service import MatchResult, Wanted, match
from portal.matching.verdicts import Verdict
from portal.merchants.queries import TrafficTerms
from portal.traders.models import Requisite
from tests.scene import USDT, Scene, build_scene, counters

pytestmark = pytest.mark.races
AMOUNT = 1500_00
_GATE = 20_511

# Asked after the look and before the lock, of an order that had a requisite before. Here it waits for the test.
_WAITS = """
CREATE OR REPLACE FUNCTION had_requisite(p_order uuid, p_requisite uuid) RETURNS boolean LANGUAGE plpgsql AS $$
begin
  perform pg_advisory_xact_lock(20511);
  return false;
end $$
"""
_WAITING = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND objid = 20511 AND NOT granted"


@pytest.fixture
def arena(committed_db: Flask) -> Iterator[Scene]:
    with transaction():
        scene = build_scene()
    yield scene
    with transaction():
        hot("UPDATE requisite SET payin_on = false, payout_on = false")


class Undone(Exception):
    """Ends a transaction without leaving anything."""


def matched_while(app: Flask, requisite: Requisite, change: str) -> tuple[MatchResult, int]:
    """A search during which the requisite is changed, between its look and its lock: the result, the open orders."""
    results: list[tuple[MatchResult, int]] = []

    def search() -> None:
        wanted = Wanted(new_id(), 1, "live", "card", None, "RUB", AMOUNT, 16 * USDT, TrafficTerms())
        with app.app_context(), suppress(Undone), transaction():
            hot(_WAITS)
            results.append((match(wanted), counters(requisite)["open_orders"]))
            raise Undone

    with db.engine.connect() as held:
        held.exec_driver_sql(f"SELECT pg_advisory_lock({_GATE})")
        thread = threading.Thread(target=search)
        thread.start()
        until = time.monotonic() + 20
        while held.exec_driver_sql(_WAITING).scalar() == 0:
            assert time.monotonic() < until
            assert thread.is_alive()
            time.sleep(0.01)
        held.rollback()
        held.exec_driver_sql(f"UPDATE requisite SET {change} WHERE id = '{requisite.id}'")
        held.commit()
        held.exec_driver_sql(f"SELECT pg_advisory_unlock({_GATE})")
        thread.join(20)
    return results[0]


@pytest.mark.proves("tried A1")
@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("open_orders = max_open_orders", Verdict.JUST_USED_UP),
        ("payin_on = false", Verdict.JUST_USED_UP),
        (f"day_amount_limit = {AMOUNT - 1}", Verdict.DAY_AMOUNT),
        (f"total_amount_limit = {AMOUNT - 1}", Verdict.TOTAL_AMOUNT),
        (f"window_s = 60, window_amount_limit = {AMOUNT - 1}", Verdict.WINDOW_AMOUNT),
        (f"max_amount = {AMOUNT - 1}", Verdict.AMOUNT),
    ],
)
def test_what_no_longer_fits_under_the_lock_is_not_taken(
    arena: Scene, committed_db: Flask, change: str, verdict: Verdict
) -> None:
    requisite = arena.requisite(arena.trader())
    result, open_orders = matched_while(committed_db, requisite, change)
    assert result.taken is None
    assert result.trace["fell"].keys() <= {verdict, Verdict.AMOUNT}
    assert result.trace["fell"][verdict] >= 1
    assert open_orders in {0, requisite.max_open_orders}


@pytest.mark.proves("tried A1")
def test_what_still_fits_under_the_lock_is_taken_with_what_was_counted_meanwhile(
    arena: Scene, committed_db: Flask
) -> None:
    requisite = arena.requisite(arena.trader())
    result, open_orders = matched_while(committed_db, requisite, "open_orders = 3, holder = 'T. P.'")
    assert result.taken is not None
    assert (result.taken.requisite_id, result.taken.holder) == (requisite.id, "T. P.")
    assert (result.trace["fell"], open_orders) == ({}, 4)
