"""Nobody uses up what a store may hold and be shown: not one customer, not one network, not another store."""

from __future__ import annotations

import pytest

from portal.core.actors import Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.ids import parse_public_id
from portal.core.modes import Mode
from portal.identity.tokens.api_keys import issue_api_key
from portal.ledger.integrity import run_checks
from portal.orders.integrity.checks import CHECKS
from portal.orders.queries import get_order
from portal.orders.service import confirm_payin
from tests.orders.attacker import Attacker, allow, held, house
from tests.orders.racing import at_once
from tests.scene import USDT, build_scene

pytestmark = [pytest.mark.races, pytest.mark.proves("tried S6")]

PAYERS = pytest.mark.parametrize(
    ("payer", "left"),
    [({"id": "c-1"}, 0.75), ({"id": "c-{n}", "ip": "203.0.113.{n}"}, 0.5)],
    ids=["customer", "network"],
)
OPEN, CLAIMED, REQUISITES = 50_000, 25_000, 40


def named(payer: dict[str, str], n: int) -> dict[str, str]:
    return {name: value.format(n=n) for name, value in payer.items()}


def other(n: int) -> dict[str, str]:
    return {"id": f"other-{n}", "ip": f"198.51.{n}.7"}


@PAYERS
@pytest.mark.parametrize(("is_claimed", "limit"), [(False, OPEN), (True, CLAIMED)])
def test_one_payer_with_everything_open_or_claimed_leaves_the_store_to_the_others(
    attacker: Attacker, payer: dict[str, str], left: float, is_claimed: bool, limit: int
) -> None:
    house(attacker.scene, 20, 14_978, 48)
    allow(store_requisites=1000)
    for n in range(60):
        answer = attacker.create(f"{47_500 + n}.00", customer=named(payer, n))
        if is_claimed and answer.status_code == 201:
            assert attacker.claim(answer.json or {}).status_code == 200
    assert answer.status_code == 429
    theirs = held(attacker.scene)
    assert 0 < theirs <= (1 - left) * limit * USDT
    for n in range(120):
        answer = attacker.create(f"{47_600 + n}.00", customer=other(n))
        if is_claimed and answer.status_code == 201:
            assert attacker.claim(answer.json or {}).status_code == 200
    assert answer.json["limit"] == ("store_claimed" if is_claimed else "store_open")
    assert held(attacker.scene) - theirs >= left * limit * USDT


@PAYERS
@pytest.mark.parametrize("requisites", [3, 91])
def test_one_payer_who_pays_nothing_leaves_requisites_to_the_others(
    attacker: Attacker, payer: dict[str, str], left: float, requisites: int
) -> None:
    """Few requisites are shown again and again, which counts for the store: open ones and cancelled ones together."""
    house(attacker.scene, 3, 100_000, requisites)
    shown = 0
    for n in range(80):
        answer = attacker.create(f"{1_000 + n}.00", customer=named(payer, n))
        if answer.status_code == 201:
            shown += 1
            if n % 2:
                attacker.cancel(answer.json or {})
    assert answer.status_code == 429
    assert 0 < shown <= (1 - left) * REQUISITES
    others = [attacker.create(f"{2_000 + n}.00", customer=other(n)).status_code for n in range(50)]
    assert others.count(201) >= left * REQUISITES


def test_what_another_store_says_of_a_network_shuts_out_nobody_here(attacker: Attacker) -> None:
    """A rival sends whatever address it likes."""
    house(attacker.scene, 4, 10_000, 60)
    with transaction():
        scene = build_scene()
        _, key = issue_api_key(scene.store_id, Mode.LIVE, "rival")
    rival = Attacker(attacker.app, scene, key)
    for n in range(30):
        refused = rival.create(f"{1_000 + n}.00", customer={"ip": f"203.0.113.{n}"})
    assert refused.json["code"] == "network_limit_reached"
    assert attacker.create("1100.00", customer={"ip": "203.0.113.7"}).status_code == 201


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("2001:db8:7:{n:x}::1", "2001:db8:8::1"),
        ("203.0.113.{n}", "203.0.114.1"),
        ("::ffff:203.0.115.{n}", "203.0.116.1"),
    ],
)
def test_a_network_is_a_48_or_a_24_however_it_is_written(
    attacker: Attacker, inside: str, outside: str
) -> None:
    house(attacker.scene, 4, 10_000, 60)
    allow(network_open_orders=3)
    codes = [
        attacker.create(f"{1_000 + n}.00", customer={"ip": inside.format(n=n)}).status_code for n in range(5)
    ]
    assert codes == [201, 201, 201, 429, 429]
    if inside.startswith("::ffff:"):
        assert attacker.create("1100.00", customer={"ip": "203.0.115.99"}).status_code == 429
    assert attacker.create("1101.00", customer={"ip": outside}).status_code == 201


@pytest.mark.parametrize("payer", [{"id": "edge-{round}"}, {"ip": "10.7.{round}.{n}"}])
def test_of_two_payins_at_once_at_the_edge_of_a_payers_limit_one_is_placed(
    attacker: Attacker, payer: dict[str, str]
) -> None:
    house(attacker.scene, 4, 10_000, 20)
    allow(customer_open_orders=1, network_open_orders=1, store_requisites=10_000)
    for nth in range(12):
        makes = [
            lambda n=n, nth=nth: (
                attacker.create(
                    f"{2_000 + 10 * nth + n}.00",
                    customer={name: value.format(round=nth, n=n) for name, value in payer.items()},
                ).status_code
            )
            for n in range(2)
        ]
        assert sorted(at_once(attacker.app, *makes)) == [201, 429], nth


def test_who_has_paid_may_always_say_so_and_what_is_claimed_stays_below_the_open_limit(
    attacker: Attacker,
) -> None:
    """The claimed limit stops new payins alone: all that was open is claimed, and nothing comes on top."""
    house(attacker.scene, 20, 14_978, 48)
    allow(store_requisites=1000)
    made = []
    for n in range(60):
        answer = attacker.create(f"{134_800 + n}.00", customer=other(n))
        if answer.status_code == 201:
            made.append(answer.json or {})
    assert answer.json["limit"] == "store_open"
    assert [attacker.claim(order).status_code for order in made] == [200] * len(made)
    with transaction():
        sql = "SELECT sum(claimed_minor)::bigint AS n FROM exposure WHERE store_id = %(id)s"
        claimed = hot(sql, {"id": attacker.scene.store_id})[0]["n"]
    assert claimed == held(attacker.scene)
    assert CLAIMED * USDT < claimed <= OPEN * USDT
    for n in range(60, 70):
        refused = attacker.create(f"{1_000 + n}.00", customer=other(n))
        assert (refused.status_code, refused.json["limit"]) == (429, "store_claimed")
    assert held(attacker.scene) == claimed


def test_a_payment_ends_the_row_of_unpaid_payins(attacker: Attacker) -> None:
    house(attacker.scene, 4, 10_000, 60)
    allow(customer_unpaid=3, customer_requisites=100)
    made = [attacker.create(f"{2_000 + n}.00", customer={"id": "c-1"}).json or {} for n in range(3)]
    attacker.cancel(made[0])
    refused = attacker.create("2003.00", customer={"id": "c-1"})
    assert (refused.json["limit"], refused.json["used"], refused.json["allowed"]) == (
        "customer_unpaid",
        "3",
        "3",
    )
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    with transaction():
        order = get_order(parse_public_id("ord", made[2]["id"]), lock=True)
        confirm_payin(order, None, actor=Actor(ActorKind.TRADER, order.trader_id))
    assert attacker.create("2004.00", customer={"id": "c-1"}).status_code == 201


@pytest.mark.parametrize("payer", [{"id": "c-1"}, {"ip": "203.0.113.9"}], ids=["customer", "network"])
def test_orders_that_hold_nothing_hide_none_that_do(attacker: Attacker, payer: dict[str, str]) -> None:
    """Orders whose method is open are looked at by nobody: behind 200 of them one payer's open payins were not seen."""
    house(attacker.scene, 20, 14_978, 48)
    allow(
        store_requisites=1000,
        customer_requisites=1000,
        network_requisites=1000,
        customer_unpaid=1000,
        network_unpaid=1000,
    )
    first = [attacker.create(f"{9_500 + n}.00", customer=payer, method=None).json for n in range(25)]
    for n in range(201):
        assert attacker.create(f"{9_600 + n}.00", customer=payer, method=None).status_code == 201
    chosen = [attacker.choose(order).status_code for order in first]
    most = 5 if "id" in payer else 20
    assert chosen == [200] * most + [429] * (25 - most)
    with transaction():
        sql = "SELECT count(*) AS n FROM orders WHERE store_id = %(id)s AND hold_minor > 0"
        assert hot(sql, {"id": attacker.scene.store_id})[0]["n"] == most


def test_a_receiver_who_reports_other_amounts_uses_up_none_of_the_stores_claims(attacker: Attacker) -> None:
    """A trader reported 1.00 on whatever came to them: claims of nobody shut the store."""
    house(attacker.scene, 20, 14_978, 48)
    allow(store_requisites=1000)
    actor = Actor(ActorKind.TRADER)
    for n in range(19):
        created = attacker.create(f"{142_500 + n}.00", customer=other(n))
        assert created.status_code == 201
        with transaction():
            order = get_order(parse_public_id("ord", created.json["id"]), lock=True)
            told = confirm_payin(order, 100, actor=actor)
            assert (told.status, told.claimed_at) == ("awaiting_confirmation", None)
    with transaction():
        sql = "SELECT sum(claimed_minor)::bigint AS claimed, sum(open_minor)::bigint AS open FROM exposure WHERE store_id = %(id)s"
        assert hot(sql, {"id": attacker.scene.store_id})[0] == {"claimed": 0, "open": held(attacker.scene)}
    assert attacker.create("142600.00", customer=other(30)).status_code == 201
    assert run_checks(CHECKS) == []
