"""A web process that is killed in the middle of a request: all of it or nothing, and the repeated call has one effect.

Each request runs in a forked process that is killed (-9) before or after its n-th round trip to PostgreSQL, for
every n that there is.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.core.actors import SYSTEM
from portal.core.db import db, hot, release, transaction
from portal.core.ids import public_id
from portal.orders.integrity.proof import verify_everything
from portal.reference import configuration as config
from portal.reference import setting_changes
from tests.api.conftest import Shop, open_shop
from tests.web.desk import Desk, open_desk

Fault = Callable[[str, int], None]
Send = Callable[[], TestResponse]
pytestmark = pytest.mark.races
MOST_POINTS = 40


def killed_at(point: int, when: str, send: Send) -> bool:
    """Send in a process of its own that dies there; whether it did."""
    release()
    pid = os.fork()
    if pid == 0:
        _die_at(point, when)
        # The parent's connections are not this process's.
        db.engine.dispose(close=False)
        send()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def _die_at(point: int, when: str) -> None:
    real, trips = psycopg.Connection.wait, iter(range(1, MOST_POINTS * 10))

    def wait(connection: Any, *given: Any, **options: Any) -> Any:
        is_here = next(trips) == point
        if is_here and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(connection, *given, **options)
        if is_here:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    psycopg.Connection.wait = wait  # type: ignore[method-assign]


@dataclass
class Case:
    """`begin` prepares one thing and gives the request for it; `effect` is what it must have come to, once."""

    begin: Callable[[], Send]
    effect: Callable[[], object]


def every_point(case: Case) -> int:
    """Kill at each round trip, before and after it, and repeat the call; how often it was killed."""
    kills = 0
    for point in range(1, MOST_POINTS):
        for when in ("before", "after"):
            send = case.begin()
            if not killed_at(point, when, send):
                assert kills, "it was never killed"
                case.effect()
                return kills
            kills += 1
            answer = _repeated(send)
            assert answer.status_code in {200, 201, 303}, (point, when, answer.status_code, answer.text[:300])
            case.effect()
    raise AssertionError("it has more round trips than are tried")


def _repeated(send: Send) -> TestResponse:
    """As a client does it: again while the first try is still in progress on the server."""
    for _ in range(50):
        answer = send()
        if answer.status_code != 409 or "in_progress" not in answer.text:
            return answer
        time.sleep(0.05)
    return answer


@pytest.fixture
def shop(committed_db: Flask) -> Iterator[Shop]:
    shop = open_shop(committed_db)
    shop.trader()
    shop.fund()
    yield shop
    release()
    assert verify_everything() == []


@pytest.fixture
def desk(committed_db: Flask) -> Iterator[Desk]:
    with transaction():
        setting_changes.set_value(config.WEB_CHANGES_PER_MINUTE.key, 1000, SYSTEM)
    yield open_desk(committed_db)
    release()
    assert verify_everything() == []


def count(sql: str, **values: Any) -> int:
    with transaction():
        return int(hot(sql, values)[0]["n"])


def orders_created(shop: Shop) -> Case:
    body = {"direction": "payin", "amount": "1500.00", "currency": "RUB", "method": "card"}
    last: list[str] = []

    def begin() -> Send:
        last[:] = [uuid.uuid4().hex]
        # Amounts of open orders differ on one card.
        own = body | {"amount": f"{1000 + len(seen)}.00", "external_id": last[0]}
        seen.append(last[0])
        return lambda: shop.post("/api/v1/orders", own, idem=own["external_id"])

    def effect() -> None:
        order = "SELECT count(*) AS n FROM orders WHERE external_id = %(x)s AND status = 'awaiting_payment'"
        entry = (
            "SELECT count(*) AS n FROM ledger_entry e JOIN orders o ON o.id = e.subject_id"
            " WHERE o.external_id = %(x)s AND e.kind = 'payin_matched'"
        )
        event = "SELECT count(*) AS n FROM event v JOIN orders o ON o.id = v.subject_id WHERE o.external_id = %(x)s"
        assert (count(order, x=last[0]), count(entry, x=last[0]), count(event, x=last[0])) == (1, 1, 1)

    seen: list[str] = []
    return Case(begin, effect)


def _done_to(status: str, ids: list[str]) -> Callable[[], None]:
    def effect() -> None:
        sql = (
            "SELECT count(*) AS n FROM order_event v JOIN orders o ON o.id = v.order_id"
            " WHERE o.id = %(id)s AND o.status = v.to_status AND v.to_status = %(status)s"
        )
        assert count(sql, id=uuid.UUID(ids[-1]), status=status) == 1

    return effect


def payins_cancelled(shop: Shop) -> Case:
    ids: list[str] = []

    def begin() -> Send:
        order = shop.order(amount=f"{2000 + len(ids)}.00")
        key = uuid.uuid4().hex
        ids.append(str(_uuid(order)))
        return lambda: shop.post(f"/api/v1/orders/{order['id']}/cancel", {"reason": "trial"}, idem=key)

    return Case(begin, _done_to("cancelled", ids))


def _uuid(order: dict[str, Any]) -> uuid.UUID:
    from tests.api.conftest import order_uuid

    return order_uuid(order)


def payouts_confirmed(shop: Shop) -> Case:
    ids: list[str] = []

    def begin() -> Send:
        order, key = shop.payout(f"{100 + len(ids)}.00"), uuid.uuid4().hex
        answer = shop.drive(order, "pay")
        assert answer.status_code == 200, answer.text
        ids.append(str(_uuid(order)))
        return lambda: shop.post(f"/api/v1/orders/{order['id']}/confirm", {}, idem=key)

    return Case(begin, _done_to("completed", ids))


def payins_confirmed(desk: Desk) -> Case:
    ids: list[str] = []

    def begin() -> Send:
        order = desk.payin(1000_00 + len(ids) * 100, claimed=True)
        ids.append(str(order.id))
        return lambda: desk.browser.post(
            f"/trader/payins/{public_id('ord', order.id)}/confirmation", htmx=False
        )

    return Case(begin, _done_to("completed", ids))


@pytest.mark.proves("F1")
@pytest.mark.parametrize(
    "case", [orders_created, payins_cancelled, pytest.param(payouts_confirmed, marks=pytest.mark.faults)]
)
def test_a_call_that_died_at_any_point_is_repeated_with_one_effect(
    shop: Shop, case: Callable[[Shop], Case], fault: Fault
) -> None:
    kills = every_point(case(shop))
    fault(
        f"{case.__name__.replace('_', ' ')}: killed before and after each round trip, the call repeated",
        kills,
    )


@pytest.mark.proves("F1")
def test_a_confirmation_that_died_at_any_point_is_repeated_with_one_effect(desk: Desk, fault: Fault) -> None:
    kills = every_point(payins_confirmed(desk))
    fault("payins confirmed on the page: killed before and after each round trip, pressed again", kills)
