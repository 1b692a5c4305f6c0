"""What is paid makes room for as long as it should, and deposits count whole, whatever is held of them."""

from __future__ import annotations

from typing import Any

import pytest

from portal.core.actors import Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.ids import parse_public_id
from portal.core.modes import Mode
from portal.orders.exposure import limits
from portal.orders.queries import get_order
from portal.orders.service import confirm_payin
from portal.reference.snapshot import forget_all
from tests.orders.attacker import Attacker, allow, held, house
from tests.scene import USDT

pytestmark = [pytest.mark.races, pytest.mark.proves("tried S6")]


def pay(order: dict[str, Any]) -> None:
    with transaction():
        locked = get_order(parse_public_id("ord", order["id"]), lock=True)
        confirm_payin(locked, None, actor=Actor(ActorKind.TRADER, locked.trader_id))


def an_hour_passes(attacker: Attacker) -> None:
    """The store's figures are of an hour earlier than they were."""
    with transaction():
        sql = "UPDATE exposure SET hour = hour - interval '1 hour' WHERE store_id = %(id)s"
        hot(sql, {"id": attacker.scene.store_id})


def of_one_row(attacker: Attacker, made: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two of these orders that are counted in the same of the store's eight rows."""
    by_id = {parse_public_id("ord", order["id"]): order for order in made}
    with transaction():
        rows = hot(
            "SELECT array_agg(id) AS ids FROM orders WHERE store_id = %(id)s"
            " GROUP BY exposure_slot(id) HAVING count(*) > 1",
            {"id": attacker.scene.store_id},
        )
    one, other, *_ = rows[0]["ids"]
    return by_id[one], by_id[other]


def codes_of(attacker: Attacker, start: int, count: int) -> list[int]:
    return [attacker.create(f"{start + n}.00").status_code for n in range(count)]


@pytest.mark.parametrize("is_carried", [False, True])
def test_a_payment_makes_room_in_its_hour_and_in_the_next_one_and_no_longer(
    attacker: Attacker, is_carried: bool
) -> None:
    """Also when the row that counts it has turned to the new hour, with another order's end."""
    house(attacker.scene, 2, 10_000, 30)
    made = [attacker.create(f"{2_000 + n}.00").json or {} for n in range(9)]
    paid, other = of_one_row(attacker, made)
    pay(paid)
    an_hour_passes(attacker)
    if is_carried:
        attacker.cancel(other)
    allow(store_requisites=2, requisites_per_paid=2)
    assert codes_of(attacker, 2_100, 5) == [201, 201, 201, 201, 429]
    an_hour_passes(attacker)
    assert codes_of(attacker, 2_200, 3) == [201, 201, 429]


@pytest.mark.parametrize("hours", [2, 3])
def test_a_payment_of_hours_ago_makes_no_room_when_its_row_turns_to_this_hour(
    attacker: Attacker, hours: int
) -> None:
    house(attacker.scene, 2, 10_000, 30)
    made = [attacker.create(f"{2_000 + n}.00").json or {} for n in range(9)]
    paid, other = of_one_row(attacker, made)
    pay(paid)
    for _ in range(hours):
        an_hour_passes(attacker)
    attacker.cancel(other)
    allow(store_requisites=2, requisites_per_paid=2)
    assert codes_of(attacker, 2_100, 3) == [201, 201, 429]


@pytest.mark.parametrize("payer", [{"id": "c-1"}, {"ip": "203.0.113.7"}])
def test_what_was_not_paid_before_a_payment_is_not_counted_with_what_comes_after_it(
    attacker: Attacker, payer: dict[str, str]
) -> None:
    house(attacker.scene, 4, 10_000, 60)
    allow(customer_unpaid=3, network_unpaid=3, customer_open_orders=100, customer_requisites=100)
    made = [attacker.create(f"{2_000 + n}.00", customer=payer).json or {} for n in range(3)]
    assert attacker.create("2003.00", customer=payer).status_code == 429
    pay(made[2])
    after = [attacker.create(f"{2_010 + n}.00", customer=payer).status_code for n in range(4)]
    assert after == [201, 201, 201, 429]


def test_what_is_held_of_deposits_goes_on_counting_for_a_stores_part(attacker: Attacker) -> None:
    """Else a store that uses its part would make it smaller, and every other store's too."""
    house(attacker.scene, 1, 1_000, 3)
    allow(store_open=1_000_000)

    def part() -> int:
        forget_all()
        with transaction():
            return limits.open_limit(Mode.LIVE, "USDT")[0]

    before = part()
    assert attacker.create("38000.00").status_code == 201
    assert held(attacker.scene) == 400 * USDT
    assert part() == before < 1_000_000 * USDT
