"""What lists keep in a row of its owner is what the tables say, whoever changes them, many at once and in bulk."""

from __future__ import annotations

import uuid
from functools import partial

import pytest
from flask import Flask

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.identity.models import Role
from portal.identity.service import create_user
from portal.merchants.service import create_merchant
from portal.traders.models import Requisite, Trader
from tests.orders.racing import at_once
from tests.scene import Scene, build_scene

pytestmark = pytest.mark.races

_WRONG = """
SELECT t.id FROM trader t WHERE t.requisites <>
  (SELECT count(*) FROM requisite q WHERE q.trader_id = t.id AND q.status <> 'archived')
"""
_WRONG_MERCHANTS = """
SELECT m.id FROM merchant m WHERE m.stores <> (SELECT count(*) FROM store s WHERE s.merchant_id = m.id)
    OR m.members <> (SELECT count(*) FROM merchant_member x WHERE x.merchant_id = m.id)
"""
_COPIED = """trader_id, mode, method, currency, bank, number_masked, number_last4, holder, status,
  available_account_id, held_account_id, min_amount, max_amount"""
_COPY = f"""
INSERT INTO requisite (id, number_encrypted, number_index, {_COPIED})
SELECT gen_random_uuid(), 'x', uuid_send(gen_random_uuid()), {_COPIED}
  FROM requisite, generate_series(1, %(times)s) WHERE id = ANY(%(of)s::uuid[])
RETURNING id
"""
_ARCHIVE = "UPDATE requisite SET status = 'archived' WHERE id = ANY(%(which)s::uuid[])"


@pytest.fixture
def scene(committed_db: Flask) -> Scene:
    with transaction():
        return build_scene()


def two(scene: Scene) -> tuple[list[Trader], list[Requisite]]:
    traders = [scene.trader(deposit_minor=0) for _ in range(2)]
    return traders, [scene.requisite(trader, on=False) for trader in traders]


def copied(of: list[uuid.UUID], times: int = 1) -> list[uuid.UUID]:
    with transaction():
        return [row["id"] for row in hot(_COPY, {"of": of, "times": times})]


def done(sql: str, which: list[uuid.UUID]) -> list[uuid.UUID]:
    with transaction():
        hot(sql, {"which": which})
    return which


def wrong() -> list[uuid.UUID]:
    with transaction():
        return [row["id"] for sql in (_WRONG, _WRONG_MERCHANTS) for row in hot(sql)]


def kept(trader: Trader) -> int:
    with transaction():
        return int(hot("SELECT requisites FROM trader WHERE id = %(id)s", {"id": trader.id})[0]["requisites"])


def test_requisites_are_counted_whichever_way_they_come_and_go(scene: Scene) -> None:
    (one, other), (first, second) = two(scene)
    ids = copied([first.id, second.id], 50)
    assert (kept(one), kept(other)) == (51, 51)
    done(_ARCHIVE, ids[:30])
    done(_ARCHIVE, ids[:30])  # again: nothing changes
    assert wrong() == []
    done("UPDATE requisite SET status = 'suspended' WHERE id = ANY(%(which)s::uuid[])", ids[:10])
    assert wrong() == []
    mine = [first.id]
    with transaction():
        hot(
            "UPDATE requisite SET trader_id = %(to)s WHERE id = ANY(%(which)s::uuid[])",
            {"to": other.id, "which": mine},
        )
    assert wrong() == []
    assert kept(one) + kept(other) == 102 - 20
    done("UPDATE requisite SET day_count = day_count + 1 WHERE id = ANY(%(which)s::uuid[])", ids)
    assert wrong() == []


def test_a_trader_is_written_once_for_all_requisites_of_a_statement(scene: Scene) -> None:
    """By row, each writing walked over all the versions before it."""
    _, (first, second) = two(scene)
    updates = "SELECT pg_stat_get_xact_tuples_updated('trader'::regclass) AS n"
    with transaction():
        before = hot(updates)[0]["n"]
        hot(_COPY, {"of": [first.id, second.id], "times": 300})
        written = hot(updates)[0]["n"] - before
    assert written == 2


def opened(merchants: list[uuid.UUID], times: int) -> list[uuid.UUID]:
    sql = """INSERT INTO store (id, merchant_id, name) SELECT gen_random_uuid(), m.id, 'New'
               FROM unnest(%(merchants)s::uuid[]) AS m(id), generate_series(1, %(times)s) RETURNING id"""
    with transaction():
        return [row["id"] for row in hot(sql, {"merchants": merchants, "times": times})]


def test_stores_and_people_of_merchants_are_counted_many_at_once(scene: Scene, committed_db: Flask) -> None:
    """Nobody deletes a store; who works for a merchant comes and goes."""
    with transaction():
        who = [
            create_user(f"{uuid.uuid4()}@kept.example", "Kept", None, [Role.MERCHANT]).id for _ in range(3)
        ]
        there = [create_merchant(name, who[:2], actor=SYSTEM).id for name in ("One", "Two")]
    back = [there[1], there[0]]
    leave = "DELETE FROM merchant_member WHERE user_id = ANY(%(which)s::uuid[])"
    join = """INSERT INTO merchant_member (merchant_id, user_id)
      SELECT m.id, w.id FROM merchant m, unnest(%(which)s::uuid[]) AS w(id) WHERE m.name IN ('One', 'Two')"""
    assert all(
        at_once(
            committed_db,
            partial(opened, there, 20), partial(opened, back, 20), partial(opened, there, 1),
            partial(done, leave, who[:1]), partial(done, leave, who[1:2]), partial(done, join, who[2:]),
        )
    )  # fmt: skip
    assert wrong() == []
    with transaction():
        kept_now = hot(
            "SELECT stores, members FROM merchant WHERE id = ANY(%(which)s::uuid[])", {"which": there}
        )
        assert [(row["stores"], row["members"]) for row in kept_now] == [(41, 1), (41, 1)]
        moved = {"from": there[0], "to": there[1]}
        hot("UPDATE store SET merchant_id = %(to)s WHERE merchant_id = %(from)s", moved)
    assert wrong() == []


def test_many_who_add_archive_and_delete_at_once_leave_true_counts(scene: Scene, committed_db: Flask) -> None:
    """Traders are locked in one order: nobody waits for somebody who waits for them."""
    for _ in range(4):
        _, (first, second) = two(scene)
        there, back = [first.id, second.id], [second.id, first.id]
        early, late = copied(there, 3), copied(back, 3)
        results = at_once(
            committed_db,
            partial(copied, there, 20), partial(copied, back, 20), partial(copied, there, 5),
            partial(done, _ARCHIVE, early[:1]), partial(done, _ARCHIVE, late[:1]), partial(copied, back),
        )  # fmt: skip
        assert all(results)  # a work that was broken off gave nothing
        assert wrong() == []
