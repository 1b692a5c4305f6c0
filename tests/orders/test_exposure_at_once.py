"""A store's row of the exposure that somebody fills between the look at it and its lock is not filled beyond its part."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from portal.core.db import hot, run_in_transaction, transaction
from portal.core.ids import new_id
from portal.ops.postgres_programs import conninfo_of
from portal.orders.exposure import limits
from tests.orders.attacker import Attacker
from tests.orders.racing import at_once, pause_until

pytestmark = [pytest.mark.races, pytest.mark.proves("tried S6")]
# Each of the eight rows may hold 100 with its own lock alone, all of them together 808.
LIMITS = "{808,1000000,1000,10}"
FILL = "UPDATE exposure SET open_minor = 100 WHERE store_id = %s AND mode = 'live' AND (slot = exposure_slot(%s)) = %s"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"


@pytest.mark.parametrize(("amount", "limit"), [(8, None), (9, "store_open")])
def test_a_payin_beside_one_that_fills_its_row_is_counted_with_all_of_the_stores(
    attacker: Attacker, amount: int, limit: str | None
) -> None:
    order, store = new_id(), attacker.scene.store_id
    values = {
        "mode": "live", "store": store, "currency": "USDT", "order": order, "amount": amount, "customer": None, "ip": None,
        "limits": LIMITS,
    }  # fmt: skip

    def ask() -> dict[str, Any]:
        return hot(limits._ASK, values)[0]

    with transaction():
        assert ask()["limit_name"] is None  # makes the rows
    answers: list[dict[str, Any]] = []
    url = conninfo_of(attacker.app.config["SQLALCHEMY_DATABASE_URI"])
    with psycopg.connect(url) as other, psycopg.connect(url, autocommit=True) as watcher:
        other.execute(FILL, [store, order, False])
        other.commit()
        other.execute(FILL, [store, order, True])
        thread = threading.Thread(
            target=lambda: answers.extend(at_once(attacker.app, lambda: run_in_transaction(ask)))
        )
        thread.start()
        pause_until(lambda: watcher.execute(WAITING, [other.info.backend_pid]).fetchone() is not None)
        other.commit()
        thread.join(30)
    with transaction():
        rows = hot("SELECT open_minor FROM exposure WHERE store_id = %(id)s", {"id": store})
        # What the order itself would add comes with it.
        assert sum(row["open_minor"] for row in rows) == 800
        hot("UPDATE exposure SET open_minor = 0 WHERE store_id = %(id)s", {"id": store})
    assert [(answer["limit_name"], answer["used"]) for answer in answers] == [(limit, limit and 800)]
