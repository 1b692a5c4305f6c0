"""One key, one customer or one network can't freeze the house or collect its requisites, however fast they are."""

from __future__ import annotations

import uuid

import pytest

from portal.core.actors import Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.ids import parse_public_id
from portal.identity.models import Role
from portal.identity.service import create_user
from portal.orders.exposure.watch import tell_of_exposure
from portal.orders.queries import get_order
from portal.orders.service import confirm_payin, match_waiting_orders
from tests.orders.attacker import Attacker, allow, held, house
from tests.orders.racing import at_once
from tests.scene import USDT

pytestmark = pytest.mark.races


@pytest.mark.proves("tried S6")
def test_one_key_that_creates_and_claims_freezes_a_small_part_of_the_deposits(attacker: Attacker) -> None:
    """211 payins of 1,419 USDT, each claimed at once: what froze 299,537 of 299,560 USDT."""
    house(attacker.scene, 20, 14_978, 48)
    answers = []
    for n in range(211):
        answer = attacker.create(f"{134_800 + n}.00", customer={"id": f"c-{n}"})
        answers.append(answer)
        if answer.status_code == 201:
            assert attacker.claim(answer.json or {}).status_code == 200
    assert held(attacker.scene) <= 25_000 * USDT
    assert 299_560 * USDT - held(attacker.scene) >= 274_560 * USDT
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(refused) >= 190
    last = refused[-1]
    assert (last.status_code, last.json["code"], last.json["limit"]) == (
        429,
        "store_limit_reached",
        "store_claimed",
    )
    assert int(last.headers["Retry-After"]) >= 1
    assert last.json["allowed"] == "25000.000000 USDT"


@pytest.mark.proves("tried S6")
def test_without_claims_the_open_volume_of_a_store_ends_at_its_limit(attacker: Attacker) -> None:
    house(attacker.scene, 20, 14_978, 48)
    allow(store_requisites=1000)
    codes = [attacker.create(f"{134_800 + n}.00") for n in range(60)]
    assert held(attacker.scene) <= 50_000 * USDT
    assert held(attacker.scene) > 48_000 * USDT
    assert codes[-1].json["limit"] == "store_open"


@pytest.mark.proves("tried S6")
def test_in_a_small_house_one_store_holds_no_more_than_its_part(attacker: Attacker) -> None:
    with transaction():
        sql = "SELECT coalesce(sum(balance), 0)::bigint AS n FROM ledger_account WHERE owner_kind = 'trader' AND kind IN ('available', 'held')"
        before = int(hot(sql)[0]["n"])
    house(attacker.scene, 4, 20_000, 8)
    allow(store_share_percent=1)
    for n in range(39):
        last = attacker.create(f"{47_500 + n}.00")
    assert last.json["limit"] == "store_share"
    assert held(attacker.scene) <= (before + 80_000 * USDT) // 100


@pytest.mark.proves("tried S12")
def test_creating_and_cancelling_collects_few_requisites(attacker: Attacker) -> None:
    """300 create-and-cancel calls over 91 requisites of 6 traders: what collected all 91 numbers."""
    house(attacker.scene, 6, 10_000, 91)
    seen = set()
    for n in range(300):
        answer = attacker.create(f"{1_000 + n}.00")
        if answer.status_code == 201:
            seen.add(answer.json["requisite"]["number"])
            assert attacker.cancel(answer.json).status_code == 200
    assert len(seen) <= 40
    assert (answer.status_code, answer.json["limit"]) == (429, "store_requisites")
    assert held(attacker.scene) == 0


@pytest.mark.proves("tried S12")
@pytest.mark.parametrize(("who", "most"), [({"id": "c-1"}, 5), ({"ip": "203.0.113.{n}"}, 20)])
def test_a_customer_and_a_network_are_shown_a_few_requisites_in_an_hour(
    attacker: Attacker, who: dict[str, str], most: int
) -> None:
    """However many customers a network says it has, and however often an order is cancelled."""
    house(attacker.scene, 6, 10_000, 91)
    allow(store_requisites=1000)
    seen = set()
    for n in range(100):
        customer = {name: value.format(n=n) for name, value in who.items()}
        answer = attacker.create(f"{1_000 + n}.00", customer=customer)
        if answer.status_code == 201:
            seen.add(answer.json["requisite"]["number"])
            attacker.cancel(answer.json)
    assert 0 < len(seen) <= most
    scope = "customer" if "id" in who else "network"
    assert answer.json["code"] == f"{scope}_limit_reached"
    assert 1 <= int(answer.headers["Retry-After"]) <= 3600
    assert ("used" in answer.json) == (scope == "customer"), "what others of a network do is not told"
    # Others are served.
    assert attacker.create("999.00", customer={"id": "c-2", "ip": "198.51.100.7"}).status_code == 201


@pytest.mark.proves("tried S6")
def test_forty_payins_at_once_do_not_pass_the_open_limit(attacker: Attacker) -> None:
    """Twelve find room for what is allowed; not one more, although none sees the others' rows."""
    house(attacker.scene, 20, 1_000, 48)
    allow(store_open=1_200, store_share_percent=100, store_requisites=10_000)
    makes = [lambda n=n: attacker.create(f"{9_500 + n}.00").status_code for n in range(40)]
    for _ in range(3):
        codes = at_once(attacker.app, *makes)
        assert set(codes) <= {201, 429, 503}
        assert held(attacker.scene) <= 1_200 * USDT
    assert held(attacker.scene) >= 1_050 * USDT, "room is used, too"


@pytest.mark.proves("tried S12")
def test_twenty_payins_of_one_customer_at_once_do_not_pass_their_limits(attacker: Attacker) -> None:
    house(attacker.scene, 4, 10_000, 20)
    allow(customer_open_orders=3, store_requisites=10_000)
    makes = [
        lambda n=n: attacker.create(f"{2_000 + n}.00", customer={"id": "c-1"}).status_code for n in range(20)
    ]
    assert sorted(at_once(attacker.app, *makes))[:4] == [201, 201, 201, 429]


def test_a_repeated_call_gets_its_answer_when_the_limit_is_reached(attacker: Attacker) -> None:
    house(attacker.scene, 1, 1_000, 2)
    allow(customer_open_orders=1)
    first = attacker.create("2000.00", idem="k-1", customer={"id": "c-1"})
    again = attacker.create("2000.00", idem="k-1", customer={"id": "c-1"})
    assert (again.status_code, again.data) == (201, first.data)
    assert attacker.create("2001.00", idem="k-2", customer={"id": "c-1"}).status_code == 429
    # A 429 is not kept: the same call goes through once there is room.
    attacker.cancel(first.json or {})
    assert attacker.create("2001.00", idem="k-2", customer={"id": "c-1"}).status_code == 201


def test_payments_make_room_for_more_requisites(attacker: Attacker) -> None:
    house(attacker.scene, 2, 10_000, 20)
    allow(store_requisites=3, requisites_per_paid=2)
    made = [attacker.create(f"{2_000 + n}.00").json for n in range(3)]
    assert attacker.create("2003.00").status_code == 429
    with transaction():
        order = get_order(parse_public_id("ord", made[0]["id"]), lock=True)
        confirm_payin(order, None, actor=Actor(ActorKind.TRADER, order.trader_id))
    assert [attacker.create(f"{2_004 + n}.00").status_code for n in range(3)] == [201, 201, 429]


def test_an_order_that_waits_goes_on_waiting_while_a_limit_is_reached(attacker: Attacker) -> None:
    """Neither time nor a choice of the method gets around it."""
    scene = attacker.scene
    waiting = [attacker.create(f"{2_000 + n}.00").json["id"] for n in range(3)]
    house(scene, 1, 10_000, 4)
    allow(store_open=25)
    with transaction():
        hot("UPDATE orders SET retry_at = now() WHERE retry_at IS NOT NULL")
    match_waiting_orders()
    with transaction():
        rows = hot(
            "SELECT status, match_trace FROM orders WHERE store_id = %(s)s ORDER BY id", {"s": scene.store_id}
        )
    assert sorted(row["status"] for row in rows) == ["awaiting_payment", "matching", "matching"]
    assert {"exposure": "store_open"} in [row["match_trace"] for row in rows if row["status"] == "matching"]
    assert len(waiting) == 3
    left_open = attacker.create("2010.00", method=None).json
    answer = attacker.post(f"/api/v1/orders/{left_open['id']}/method", {"method": "card"})
    assert (answer.status_code, answer.json["code"]) == (429, "store_limit_reached")


def test_an_amount_above_the_limit_is_told_apart_from_a_busy_hour(attacker: Attacker) -> None:
    house(attacker.scene, 1, 10_000, 1)
    allow(store_open=20)
    answer = attacker.create("95000.00")
    assert (answer.status_code, answer.json["code"], answer.json["limit"]) == (
        422,
        "amount_above_limit",
        "store_open",
    )


@pytest.mark.proves("tried S12")
def test_requisites_shown_at_once_pass_the_limit_of_a_store_by_no_more_than_come_at_once(
    attacker: Attacker,
) -> None:
    house(attacker.scene, 4, 10_000, 60)
    allow(store_requisites=5)
    for wave in range(3):
        makes = [lambda n=n: attacker.create(f"{2_000 + n}.00") for n in range(10 * wave, 10 * wave + 8)]
        at_once(attacker.app, *makes)
    with transaction():
        sql = "SELECT count(requisite_id) AS n FROM orders WHERE store_id = %(id)s"
        assert 5 <= hot(sql, {"id": attacker.scene.store_id})[0]["n"] <= 5 + 7


def test_administrators_are_told_once_an_hour_of_a_store_near_a_limit(attacker: Attacker) -> None:
    with transaction():
        create_user(f"admin-{uuid.uuid4().hex}@example.test", "Ada", None, [Role.ADMIN])
    house(attacker.scene, 1, 10_000, 4)
    allow(store_requisites=4, store_open=10_000)
    tell_of_exposure()
    for n in range(4):
        assert attacker.create(f"{2_000 + n}.00").status_code == 201
    assert tell_of_exposure() == 1
    assert tell_of_exposure() == 0
    with transaction():
        about = {"about": f"{attacker.scene.store_id} %"}
        told = hot(
            "SELECT params FROM notification WHERE kind = 'exposure_high' AND about LIKE %(about)s", about
        )
    assert [row["params"] for row in told] == [
        {"store": "Acme shop", "limit": "exposure_store_requisites", "used": "4", "allowed": "4"}
    ]
