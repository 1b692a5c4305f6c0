"""Nobody is penalised for a silence of the house: of its clock, of its doors, or of both."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from portal.core.actors import CUSTOMER, Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.processes.heartbeat import beat_as_web
from portal.orders.queries import get_order, list_steps
from portal.orders.record import OrderRecord
from portal.orders.service import act_on_due_orders, claim_payin
from portal.orders.service.amounts import report_amount
from portal.orders.service.silences import beat
from tests.rows import change
from tests.scene import Scene

SOON = timedelta(seconds=5)


def quiet_for(seconds: float, role: str) -> None:
    """The last beat of this role was so long ago."""
    change(
        "INSERT INTO heartbeat (role, beat_at) VALUES (%(role)s, clock_timestamp() - make_interval(secs => %(s)s))"
        " ON CONFLICT (role) DO UPDATE SET beat_at = excluded.beat_at",
        {"role": role, "s": seconds},
    )


def waiting(
    scene: Scene, *, since_s: float = 3600, due_in_s: float = 900, amount: int = 1500_00
) -> OrderRecord:
    """A matched payin that began to wait so long ago, whatever its timeline says of when it was written."""
    order = scene.payin(amount)
    written(order, since_s=since_s)
    change(
        "UPDATE orders SET due_at = m.at, pay_by = m.at"
        " FROM (SELECT clock_timestamp() + make_interval(secs => %(s)s) AS at) m WHERE id = %(id)s",
        {"id": order.id, "s": due_in_s},
    )
    return get_order(order.id)


def written(order: OrderRecord, *, since_s: float, last_only: bool = False) -> None:
    """All of the order's timeline, or its last step, was written so long ago."""
    hot("SET LOCAL session_replication_role = replica")
    change(
        "UPDATE order_event SET at = clock_timestamp() - make_interval(secs => %(s)s) WHERE order_id = %(id)s"
        " AND (NOT %(last)s OR id = (SELECT max(id) FROM order_event WHERE order_id = %(id)s))",
        {"id": order.id, "s": since_s, "last": last_only},
    )
    hot("SET LOCAL session_replication_role = origin")


def moved(order: OrderRecord) -> timedelta:
    now = get_order(order.id)
    assert isinstance(now.due_at, datetime)
    assert now.due_at == (now.pay_by if now.status == "awaiting_payment" else now.confirm_by)
    assert order.due_at is not None
    return now.due_at - order.due_at


def close_to(seconds: float, length: timedelta | None) -> bool:
    return length is not None and abs(length - timedelta(seconds=seconds)) < SOON


@pytest.fixture
def site(scene: Scene) -> Scene:
    scene.requisite(scene.trader())
    beat(60)
    return scene


@pytest.mark.proves("tried C7")
def test_a_deadline_that_passed_while_no_door_was_open_moves_by_the_silence(site: Scene) -> None:
    order = waiting(site, due_in_s=-15)
    quiet_for(45, "web")
    assert act_on_due_orders() == 0, "nobody could come in since"
    beat_as_web()
    assert act_on_due_orders() == 0, "the silence has not been judged yet"
    assert close_to(45, beat(60))
    assert act_on_due_orders() == 0
    assert close_to(45, moved(order))
    assert list_steps(order.id)[-1].event == "deadline_extended"
    assert beat(60) is None, "once"


@pytest.mark.proves("tried C7")
def test_without_a_silence_a_deadline_is_acted_on_with_the_next_beat_of_a_door(site: Scene) -> None:
    order = waiting(site, due_in_s=-1)
    quiet_for(5, "web")
    assert act_on_due_orders() == 0
    beat_as_web()
    assert beat(60) is None
    assert act_on_due_orders() == 1
    assert get_order(order.id).status == "expired"


@pytest.mark.proves("tried C7")
@pytest.mark.parametrize("doors", ["never there", "closed for two days"])
def test_where_there_are_no_doors_deadlines_go_on(site: Scene, doors: str) -> None:
    order = waiting(site, due_in_s=-1)
    if doors != "never there":
        quiet_for(2 * 86400, "web")
    assert beat(60) is None
    assert act_on_due_orders() == 1
    assert get_order(order.id).status == "expired"


@pytest.mark.proves("tried C7")
@pytest.mark.parametrize(
    ("clock_s", "web_s", "given_back"), [(600, 601, 600), (600, 300, 600), (300, 600, 600), (0, 600, 600)]
)
def test_a_silence_of_clock_and_doors_is_given_back_once(
    site: Scene, clock_s: float, web_s: float, given_back: float
) -> None:
    order = waiting(site)
    if clock_s:
        quiet_for(clock_s, "clock")
    quiet_for(web_s, "web")
    beat(60)
    beat_as_web()
    beat(60)
    beat_as_web()
    beat(60)
    assert close_to(given_back, moved(order))


@pytest.mark.proves("tried C7")
def test_doors_that_come_back_before_the_clock_does_are_given_back_with_it(site: Scene) -> None:
    order = waiting(site)
    quiet_for(600, "web")
    quiet_for(500, "clock")
    beat_as_web()
    assert close_to(600, beat(60))
    assert close_to(600, moved(order))


@pytest.mark.proves("tried C8")
def test_an_order_that_was_made_within_a_silence_gets_what_is_missing_to_it(site: Scene) -> None:
    before, within, last = (
        waiting(site, since_s=since_s, amount=amount)
        for since_s, amount in ((3600, 1500_00), (200, 1501_00), (1, 1502_00))
    )
    quiet_for(600, "clock")
    assert close_to(600, beat(60))
    assert close_to(600, moved(before))
    assert close_to(200, moved(within))
    assert moved(last) < SOON


@pytest.mark.proves("tried C8")
@pytest.mark.parametrize(
    ("reported_s", "given_back"), [([200], 200), ([1], 1), ([700], 600), ([700, 100], 600), ([200, 100], 200)]
)
def test_who_is_asked_about_another_amount_waits_from_its_first_report(
    site: Scene, reported_s: list[float], given_back: float
) -> None:
    """A correction gives no more time, and takes none of what is missing."""
    order = waiting(site)
    with transaction():
        claim_payin(get_order(order.id, lock=True), None, actor=CUSTOMER)
    written(order, since_s=1800)
    for number, since_s in enumerate(reported_s):
        with transaction():
            locked = get_order(order.id, lock=True)
            assert locked.trader_id is not None
            actor = Actor(ActorKind.TRADER, locked.trader_id)
            report_amount(locked, 500_00 + number, actor=actor)
        written(order, since_s=since_s, last_only=True)
    asked = get_order(order.id)
    quiet_for(600, "clock")
    assert close_to(600, beat(60))
    assert close_to(given_back, moved(asked))


@pytest.mark.proves("tried C5")
def test_a_deadline_that_had_passed_before_the_silence_is_not_moved_by_it(site: Scene) -> None:
    passed, open_then = waiting(site, due_in_s=-601), waiting(site, due_in_s=-599, amount=1501_00)
    quiet_for(600, "clock")
    assert close_to(600, beat(60))
    assert moved(passed) == timedelta()
    assert close_to(600, moved(open_then))
    assert act_on_due_orders() == 1
    assert (get_order(passed.id).status, get_order(open_then.id).status) == ("expired", "awaiting_payment")
