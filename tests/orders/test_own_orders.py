"""Who is a party to an order does nothing to it as staff: not as its trader now or before, their lead, nor of the shop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portal.core.actors import CUSTOMER, Actor, ActorKind
from portal.core.db import hot, transaction
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, resolve_dispute
from portal.identity.models import MemberRole, Role
from portal.identity.people.invitations import set_member
from portal.orders import parties
from portal.orders.parties import OwnOrder
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import (
    accept_payout,
    act_on_due_orders,
    cancel_order,
    claim_payin,
    claim_payout,
    confirm_payin,
    confirm_payin_at_once,
    confirm_payout,
    decline_payin,
    decline_payout,
    refuse_review,
    release_review,
)
from portal.traders.models import Trader
from tests.access.people import acting, person
from tests.orders.test_payin import locked, make_due
from tests.orders.test_payout import attach_proof
from tests.rows import change
from tests.scene import Scene, as_trader

pytestmark = pytest.mark.proves("tried S7")
WHY = "The statement says so"
Make = Callable[[Scene, Trader], OrderRecord]
Act = Callable[[OrderRecord, Actor], object]


def waiting(scene: Scene, _trader: Trader) -> OrderRecord:
    return scene.payin()


def claimed(scene: Scene, trader: Trader) -> OrderRecord:
    with transaction():
        return claim_payin(locked(waiting(scene, trader)), None, actor=CUSTOMER)


def disputed(scene: Scene, trader: Trader) -> OrderRecord:
    order = claimed(scene, trader)
    with transaction():
        return open_dispute(locked(order), DisputeReason.OTHER, None, None, actor=CUSTOMER)


def expired(scene: Scene, trader: Trader) -> OrderRecord:
    order = waiting(scene, trader)
    make_due(order)
    act_on_due_orders()
    return get_order(order.id)


def accepted(scene: Scene, trader: Trader) -> OrderRecord:
    with transaction():
        scene.fund_store()
    order = scene.payout()
    with transaction():
        return accept_payout(trader.id, order.id, actor=as_trader(trader))


def paid_out(scene: Scene, trader: Trader) -> OrderRecord:
    order = accepted(scene, trader)
    with transaction():
        attach_proof(order)
        return claim_payout(locked(order), actor=as_trader(trader))


def decide(outcome: DisputeOutcome, received_minor: int | None) -> Act:
    return lambda order, actor: resolve_dispute(order, outcome, received_minor, WHY, actor=actor)


STEPS: dict[str, tuple[Make, Act]] = {
    "completed with less": (claimed, lambda o, a: confirm_payin(o, 100_00, actor=a, reason=WHY)),
    "completed late": (expired, lambda o, a: confirm_payin(o, None, actor=a, reason=WHY)),
    "given to another": (waiting, lambda o, a: decline_payin(o, WHY, actor=a)),
    "cancelled": (waiting, lambda o, a: cancel_order(o, WHY, actor=a)),
    "disputed": (claimed, lambda o, a: open_dispute(o, DisputeReason.OTHER, WHY, None, actor=a)),
    "reopened": (expired, lambda o, a: open_dispute(o, DisputeReason.OTHER, WHY, None, actor=a)),
    "decided for less": (disputed, decide(DisputeOutcome.COMPLETED, 100_00)),
    "decided against": (disputed, decide(DisputeOutcome.CANCELLED, None)),
    "payout given to another": (accepted, lambda o, a: decline_payout(o, WHY, actor=a)),
    "payout completed": (paid_out, lambda o, a: confirm_payout(o, actor=a, reason=WHY)),
}


def party(scene: Scene, trader: Trader, who: str, role: Role) -> Actor:
    """One of the staff who is this to the order as well."""
    with transaction():
        user = person(role, name="Pat")
        if who == "trader":
            change(
                "UPDATE trader SET user_id = %(user)s WHERE id = %(id)s", {"user": user.id, "id": trader.id}
            )
        elif who == "lead":
            change(
                "UPDATE team SET lead_id = %(user)s WHERE id = %(id)s", {"user": user.id, "id": scene.team_id}
            )
        else:
            set_member(user.id, scene.store.merchant_id, MemberRole.VIEWER)
        return acting(user)


def stands(order: OrderRecord) -> tuple[Any, ...]:
    now = get_order(order.id)
    return now.status, now.version, now.hold_minor, now.amount_received_minor


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("who", "role"),
    [("trader", Role.ADMIN), ("lead", Role.ADMIN), ("member", Role.ADMIN), ("trader", Role.SUPPORT)],
)
def test_staff_do_nothing_to_an_order_of_their_own_and_others_do(
    scene: Scene, step: str, who: str, role: Role
) -> None:
    make, act = STEPS[step]
    trader = scene.trader()
    scene.requisite(trader)
    order = make(scene, trader)
    actor, before = party(scene, trader, who, role), stands(order)
    free = scene.trader_balance(trader)
    with pytest.raises(OwnOrder), transaction():
        act(locked(order), actor)
    assert (stands(order), scene.trader_balance(trader)) == (before, free)
    with transaction():
        stranger = acting(person(role, name="Ben"))
    with transaction():
        act(locked(order), stranger)
    assert stands(order) != before


@pytest.mark.parametrize("who", ["trader", "lead"])
def test_who_had_an_order_and_gave_it_back_decides_nothing_about_it(scene: Scene, who: str) -> None:
    """The customer may have paid them: whoever has the order now can't say, and they would keep it."""
    first, second = scene.trader(), scene.trader()
    scene.requisite(first)
    order = waiting(scene, first)
    scene.requisite(second)
    with transaction():
        decline_payin(locked(order), "other: busy", actor=as_trader(first))
    with transaction():
        assert claim_payin(locked(order), None, actor=CUSTOMER).trader_id == second.id
    with transaction():
        open_dispute(locked(order), DisputeReason.NOT_RECEIVED, None, None, actor=as_trader(second))
    if who == "lead":
        with transaction():
            change("UPDATE trader SET team_id = NULL WHERE id = %(id)s", {"id": second.id})
    pat, before = party(scene, first, who, Role.ADMIN), stands(order)
    with pytest.raises(OwnOrder), transaction():
        decide(DisputeOutcome.CANCELLED, None)(locked(order), pat)
    assert stands(order) == before


@pytest.mark.parametrize("decide_about", [release_review, refuse_review])
def test_none_of_the_shops_people_decides_about_what_risk_has_set_aside(
    scene: Scene, decide_about: Callable[..., OrderRecord]
) -> None:
    trader, order = scene.trader(), scene.payin(method=None)
    with transaction():
        hot("SET LOCAL session_replication_role = replica")
        hot("UPDATE orders SET status = 'review' WHERE id = %(id)s", {"id": order.id})
    mia, before = party(scene, trader, "member", Role.SUPPORT), stands(order)
    with pytest.raises(OwnOrder), transaction():
        decide_about(locked(order), WHY, actor=mia)
    assert stands(order) == before
    with transaction():
        decide_about(locked(order), WHY, actor=scene.support)
    assert stands(order) != before


def test_nobody_but_staff_costs_a_statement(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a customer's creating and claiming nor a trader's confirming, nor the console, asks who is a party."""

    def asked(*_what: object) -> bool:
        raise AssertionError("somebody was looked up")

    monkeypatch.setattr(parties, "is_party", asked)
    trader = scene.trader()
    scene.requisite(trader)
    order = claimed(scene, trader)
    done = confirm_payin_at_once(lambda **lock: get_order(order.id, **lock), None, actor=as_trader(trader))
    assert done.status == "completed"
    with transaction():
        assert cancel_order(locked(scene.payin()), None, actor=scene.merchant).status == "cancelled"
    other = claimed(scene, trader)
    with transaction():
        assert confirm_payin(locked(other), None, actor=Actor(ActorKind.OPS)).status == "completed"
    with pytest.raises(AssertionError, match="looked up"), transaction():
        cancel_order(locked(scene.payin()), None, actor=scene.support)


def test_as_the_party_they_do_what_a_party_may(scene: Scene) -> None:
    """An administrator who trades as well confirms what came to them, in the trader's portal."""
    trader = scene.trader()
    scene.requisite(trader)
    order = claimed(scene, trader)
    party(scene, trader, "trader", Role.ADMIN)
    with transaction():
        assert confirm_payin(locked(order), None, actor=as_trader(trader)).status == "completed"
