"""The life of a payin: what each step writes, and what the ledger says after it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.core.actors import CUSTOMER, SYSTEM, Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.errors import Conflict, Forbidden, InvalidTransition, ValidationFailed
from portal.core.modes import Mode
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import find_open_dispute, open_dispute, open_unconfirmed, resolve_dispute
from portal.ledger.errors import InsufficientFunds
from portal.ledger.integrity import CHECKS, run_checks
from portal.ledger.models import AccountKind, OwnerKind
from portal.ledger.queries import balance_minor
from portal.merchants.queries import PlanTerms
from portal.merchants.service import save_fee_plan
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.orders.queries import get_order, list_steps
from portal.orders.record import OrderRecord
from portal.orders.representation import moment
from portal.orders.service import act_on_due_orders, cancel_order, claim_payin, confirm_payin, decline_payin
from portal.orders.service.confirm import TooLate, agree_to_amount
from portal.orders.service.silences import beat
from tests.rows import change
from tests.scene import USDT, Scene, as_trader, counters

DEPOSIT = 10_000 * USDT
A, FEE = 15_789_474, 473_684


def locked(order: OrderRecord) -> OrderRecord:
    return get_order(order.id, lock=True)


def make_due(order: OrderRecord, column: str = "due_at") -> None:
    change(f"UPDATE orders SET {column} = now() - interval '1 second' WHERE id = %(id)s", {"id": order.id})


def events(order: OrderRecord) -> list[str]:
    rows = hot("SELECT type FROM event WHERE subject_id = %(id)s ORDER BY version, id", {"id": order.id})
    return [row["type"] for row in rows]


def test_a_payin_is_matched_and_the_deposit_held(scene: Scene) -> None:
    trader = scene.trader()
    requisite = scene.requisite(trader)
    order = scene.payin()
    assert (order.status, order.requisite_id, order.settlement_minor, order.fee_minor) == (
        "awaiting_payment", requisite.id, A, FEE,
    )  # fmt: skip
    assert scene.trader_balance(trader) == DEPOSIT - A
    assert scene.trader_balance(trader, AccountKind.HELD) == A == order.hold_minor
    assert counters(requisite) == {
        "open_orders": 1, "day_amount": 1500_00, "day_count": 1, "window_amount": 0, "total_amount": 1500_00,
    }  # fmt: skip
    assert [step.event for step in list_steps(order.id)] == ["created", "matched"]
    assert events(order) == ["order.matched"]


def test_a_confirmation_pays_everybody_in_one_entry(scene: Scene) -> None:
    trader = scene.trader()
    requisite = scene.requisite(trader)
    order = scene.payin()
    revenue = balance_minor(OwnerKind.PLATFORM, None, AccountKind.REVENUE, "USDT", Mode.LIVE)
    with transaction():
        claim_payin(locked(order), None, actor=CUSTOMER)
    with transaction():
        done = confirm_payin(locked(order), None, actor=as_trader(trader))
    assert (done.status, done.amount_received_minor, done.hold_minor, done.due_at) == (
        "completed",
        1500_00,
        0,
        None,
    )
    trader_part, lead_part = 157_895, 78_947
    assert scene.trader_balance(trader) == DEPOSIT - A + trader_part
    assert scene.trader_balance(trader, AccountKind.HELD) == 0
    assert scene.trader_balance(trader, AccountKind.FIAT) == 1500_00
    assert scene.store_balance() == A - FEE
    assert balance_minor(OwnerKind.LEAD, scene.lead_id, AccountKind.AVAILABLE, "USDT", Mode.LIVE) == lead_part
    now = balance_minor(OwnerKind.PLATFORM, None, AccountKind.REVENUE, "USDT", Mode.LIVE)
    assert now - revenue == FEE - trader_part - lead_part
    assert counters(requisite)["open_orders"] == 0
    assert events(order) == ["order.matched", "order.claimed", "order.completed"]
    assert run_checks() == []


def test_confirming_again_changes_nothing_and_another_amount_then_is_refused(scene: Scene) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    with transaction():
        first = confirm_payin(locked(order), None, actor=as_trader(trader))
    with transaction():
        again = confirm_payin(locked(order), None, actor=as_trader(trader))
    assert again.version == first.version
    with pytest.raises(Conflict), transaction():
        confirm_payin(locked(order), 1, actor=as_trader(trader))
    assert scene.store_balance() == A - FEE


@pytest.mark.parametrize("received", [1498_50, 1501_50])
def test_another_amount_is_priced_anew_at_the_orders_rate(scene: Scene, received: int) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    with transaction():
        done = confirm_payin(locked(order), received, actor=as_trader(trader))
    value = round(received * 10_000 / 95)
    assert (done.amount_minor, done.amount_received_minor, done.settlement_minor) == (
        1500_00,
        received,
        value,
    )
    assert scene.store_balance() == value - done.fee_minor
    assert scene.trader_balance(trader, AccountKind.HELD) == 0
    assert scene.trader_balance(trader, AccountKind.FIAT) == received
    assert set(events(order)[-2:]) == {"order.amount_changed", "order.completed"}
    assert run_checks() == []


@pytest.mark.proves("ASVS 5")
def test_more_than_the_deposit_covers_is_refused_and_changes_nothing(scene: Scene) -> None:
    with transaction():
        save_fee_plan(scene.store_id, "payin", None, PlanTerms(300, 0, 0, 0), actor=SYSTEM)
    trader = scene.trader(deposit_minor=A)
    scene.requisite(trader)
    order = scene.payin()
    with transaction():
        confirm_payin(locked(order), 1600_00, actor=as_trader(trader))
    with pytest.raises(InsufficientFunds), transaction():
        agree_to_amount(locked(order), 1600_00, actor=CUSTOMER)
    assert get_order(order.id).status == "awaiting_confirmation"
    assert scene.trader_balance(trader, AccountKind.HELD) == A
    assert scene.store_balance() == 0


def test_an_order_that_is_not_paid_in_time_expires_and_everything_goes_back(scene: Scene) -> None:
    trader = scene.trader()
    requisite = scene.requisite(trader)
    order = scene.payin()
    make_due(order)
    assert act_on_due_orders(open_case=open_unconfirmed) == 1
    expired = get_order(order.id)
    assert (expired.status, expired.status_reason, expired.due_at) == ("expired", "not_paid_in_time", None)
    assert scene.trader_balance(trader) == DEPOSIT
    assert set(counters(requisite).values()) == {0}
    assert act_on_due_orders(open_case=open_unconfirmed) == 0
    assert run_checks() == []


def test_a_late_payment_is_completed_from_expired_in_two_entries(scene: Scene) -> None:
    trader = scene.trader()
    requisite = scene.requisite(trader)
    order = scene.payin()
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    with transaction():
        done = confirm_payin(locked(order), None, actor=as_trader(trader))
    assert done.status == "completed"
    assert scene.store_balance() == A - FEE
    kinds = hot(
        "SELECT kind, round FROM ledger_entry WHERE subject_id = %(id)s ORDER BY id", {"id": order.id}
    )
    assert [(row["kind"], row["round"]) for row in kinds] == [
        ("payin_matched", 1), ("payin_released", 1), ("payin_matched", 2), ("payin_completed", 0),
    ]  # fmt: skip
    assert counters(requisite)["open_orders"] == 0
    assert counters(requisite)["total_amount"] == 1500_00
    assert run_checks() == []


def test_a_late_completion_the_deposit_does_not_cover_is_refused(scene: Scene) -> None:
    trader = scene.trader(deposit_minor=16 * USDT)
    scene.requisite(trader)
    order = scene.payin()
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    scene.payin(1510_00)
    with pytest.raises(InsufficientFunds), transaction():
        confirm_payin(locked(order), None, actor=as_trader(trader))
    assert get_order(order.id).status == "expired"


def test_a_trader_can_not_complete_what_expired_long_ago_but_support_can(scene: Scene) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    change("UPDATE orders SET ended_at = now() - interval '3 days' WHERE id = %(id)s", {"id": order.id})
    with pytest.raises(TooLate), transaction():
        confirm_payin(locked(order), None, actor=as_trader(trader))
    with transaction():
        assert confirm_payin(locked(order), None, actor=scene.support).status == "completed"


def test_nobody_free_waits_then_fails(scene: Scene) -> None:
    order = scene.payin()
    assert (order.status, order.requisite_id) == ("matching", None)
    assert order.retry_at is not None
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    failed = get_order(order.id)
    assert (failed.status, failed.status_reason) == ("failed", "nobody_free")
    assert events(order) == ["order.failed"]


def test_cancelling_gives_everything_back_and_a_second_time_changes_nothing(scene: Scene) -> None:
    trader = scene.trader()
    requisite = scene.requisite(trader)
    order = scene.payin()
    with transaction():
        first = cancel_order(locked(order), "changed_mind", actor=CUSTOMER)
    with transaction():
        assert cancel_order(locked(order), None, actor=CUSTOMER).version == first.version
    assert scene.trader_balance(trader) == DEPOSIT
    assert set(counters(requisite).values()) == {0}


def test_after_a_claim_nobody_cancels(scene: Scene) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    with transaction():
        claim_payin(locked(order), None, actor=CUSTOMER)
    for actor in (CUSTOMER, scene.merchant):
        with pytest.raises(InvalidTransition), transaction():
            cancel_order(locked(order), None, actor=actor)


@pytest.mark.parametrize("actor", [CUSTOMER, "merchant"])
def test_the_paying_side_can_not_confirm(scene: Scene, actor: object) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    with pytest.raises(Forbidden), transaction():
        confirm_payin(locked(order), None, actor=scene.merchant if actor == "merchant" else CUSTOMER)
    assert scene.store_balance() == 0


def test_a_declined_payin_is_matched_elsewhere_and_never_to_the_same_requisite(scene: Scene) -> None:
    first, second = scene.trader(), scene.trader()
    requisites = {scene.requisite(first).id: first, scene.requisite(second).id: second}
    order = scene.payin()
    assert order.requisite_id is not None
    had = requisites[order.requisite_id]
    with transaction():
        moved = decline_payin(locked(order), "bank_problem", actor=as_trader(had))
    assert moved.status == "awaiting_payment"
    assert moved.requisite_id != order.requisite_id
    assert scene.trader_balance(had) == DEPOSIT
    with transaction():
        left = decline_payin(locked(order), "busy", actor=SYSTEM)
    assert (left.status, left.requisite_id, left.hold_minor) == ("matching", None, 0)
    assert run_checks() == []


def test_what_nobody_confirms_becomes_a_dispute(scene: Scene) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    with transaction():
        claim_payin(locked(order), None, actor=CUSTOMER)
    make_due(order)
    assert act_on_due_orders(open_case=open_unconfirmed) == 1
    assert get_order(order.id).status == "disputed"
    assert scene.trader_balance(trader, AccountKind.HELD) == A


@pytest.mark.parametrize("outcome", list(DisputeOutcome))
def test_a_dispute_ends_completed_or_cancelled_by_staff_alone(scene: Scene, outcome: DisputeOutcome) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    with transaction():
        claim_payin(locked(order), None, actor=CUSTOMER)
    with transaction():
        open_dispute(locked(order), DisputeReason.FAKE_RECEIPT, "not there", None, actor=as_trader(trader))
    with pytest.raises(Forbidden), transaction():
        resolve_dispute(locked(order), outcome, None, "mine", actor=as_trader(trader))
    with pytest.raises(InvalidTransition), transaction():
        confirm_payin(locked(order), None, actor=as_trader(trader))
    with transaction():
        ended = resolve_dispute(locked(order), outcome, None, "seen the statement", actor=scene.support)
    assert ended.status == outcome.value
    assert scene.store_balance() == (A - FEE if outcome is DisputeOutcome.COMPLETED else 0)
    assert scene.trader_balance(trader, AccountKind.HELD) == 0
    assert run_checks() == []


def test_a_dispute_over_an_expired_order_takes_the_hold_only_when_it_is_decided_completed(
    scene: Scene,
) -> None:
    trader = scene.trader()
    requisite = scene.requisite(trader)
    order = scene.payin()
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    scene.payin()  # the same amount is on the requisite again
    with transaction():
        open_dispute(locked(order), DisputeReason.PAID_LATE, None, 1500_00, actor=CUSTOMER)
    assert scene.trader_balance(trader, AccountKind.HELD) == A
    assert counters(requisite)["open_orders"] == 1
    with transaction():
        resolve_dispute(locked(order), DisputeOutcome.COMPLETED, 1400_00, "partly", actor=scene.support)
    assert scene.store_balance() > 0
    assert counters(requisite)["open_orders"] == 1
    assert run_checks() == []


def test_a_payin_that_does_not_cover_its_fee_is_refused(scene: Scene) -> None:
    with transaction():
        save_fee_plan(scene.store_id, "payin", None, PlanTerms(300, 20 * USDT, 0, 0), actor=SYSTEM)
    with pytest.raises(ValidationFailed):
        scene.payin()


def test_an_outage_moves_deadlines_by_its_length(scene: Scene) -> None:
    scene.requisite(scene.trader())
    order = scene.payin()
    hot("SET LOCAL session_replication_role = replica")
    change("UPDATE order_event SET at = at - interval '1 hour' WHERE order_id = %(id)s", {"id": order.id})
    hot("SET LOCAL session_replication_role = origin")
    assert beat(60) is None
    change("UPDATE heartbeat SET beat_at = clock_timestamp() - interval '10 minutes' WHERE role = 'clock'")
    outage = beat(60)
    assert outage is not None
    assert timedelta(minutes=9) < outage < timedelta(minutes=11)
    moved = get_order(order.id)
    assert order.due_at is not None
    assert moved.due_at == order.due_at + outage == moved.pay_by
    assert beat(60) is None


def test_each_event_tells_when_the_order_changed_as_its_row_does(scene: Scene) -> None:
    scene.requisite(scene.trader())
    order = scene.payin()
    with transaction():
        hot("UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = %(id)s", {"id": order.id})
        claim_payin(locked(order), None, actor=CUSTOMER)
    told = hot(
        "SELECT data ->> 'updated_at' AS at FROM event WHERE subject_id = %(id)s AND type = 'order.claimed'",
        {"id": order.id},
    )
    assert told[0]["at"] == moment(get_order(order.id).updated_at)


def expired(scene: Scene, days: float = 0, amount_minor: int = 1500_00) -> OrderRecord:
    order = scene.payin(amount_minor)
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    sql = "UPDATE orders SET ended_at = ended_at - make_interval(secs => %(s)s) WHERE id = %(id)s"
    with transaction():
        hot(sql, {"id": order.id, "s": days * 86400})
    return get_order(order.id)


def reopen(order: OrderRecord, actor: Actor) -> OrderRecord:
    with transaction():
        return open_dispute(locked(order), DisputeReason.PAID_LATE, "I paid", None, actor=actor)


@pytest.mark.proves("tried S9")
@pytest.mark.parametrize("kind", [ActorKind.CUSTOMER, ActorKind.MERCHANT, ActorKind.TRADER])
def test_an_expired_order_is_reopened_within_seven_days_only(scene: Scene, kind: ActorKind) -> None:
    scene.requisite(scene.trader())
    in_time, too_late = expired(scene, 6.9), expired(scene, 7.1)
    assert reopen(in_time, Actor(kind)).status == "disputed"
    with pytest.raises(TooLate):
        reopen(too_late, Actor(kind))
    assert (get_order(too_late.id).status, find_open_dispute(too_late.id)) == ("expired", None)


@pytest.mark.proves("tried S9")
def test_staff_reopen_and_complete_an_expired_order_within_ninety_days(scene: Scene) -> None:
    scene.requisite(scene.trader())
    in_time, too_late = expired(scene, 89), expired(scene, 91)
    with pytest.raises(TooLate):
        reopen(too_late, scene.support)
    with pytest.raises(TooLate), transaction():
        confirm_payin(locked(too_late), None, actor=scene.support)
    assert reopen(in_time, scene.support).status == "disputed"


@pytest.mark.proves("tried S9")
def test_twenty_reopened_orders_take_no_slot_and_no_limits_of_their_requisite(scene: Scene) -> None:
    requisite = scene.requisite(scene.trader(), max_open_orders=2, day_amount_limit=4000_00)
    orders = [expired(scene, amount_minor=1500_00 + n) for n in range(20)]
    for order in orders:
        reopen(order, CUSTOMER)
    assert set(counters(requisite).values()) == {0}
    assert scene.payin(1400_00).status == "awaiting_payment"
    for order, outcome in zip(orders, [DisputeOutcome.COMPLETED, DisputeOutcome.CANCELLED], strict=False):
        with transaction():
            resolve_dispute(locked(order), outcome, None, "the statement", actor=scene.support)
    assert counters(requisite) == {
        "open_orders": 1, "day_amount": 2900_00, "day_count": 2, "window_amount": 0, "total_amount": 2900_00,
    }  # fmt: skip
    assert run_checks((*CHECKS, *ORDER_CHECKS)) == []


@pytest.mark.proves("tried S9")
def test_a_reopened_order_keeps_its_amount_from_nobody_unlike_another_dispute(scene: Scene) -> None:
    requisite = scene.requisite(scene.trader())
    reopened = reopen(expired(scene), CUSTOMER)
    order = scene.payin(reopened.amount_minor)
    assert (order.status, order.requisite_id) == ("awaiting_payment", requisite.id)
    assert scene.payin(order.amount_minor).status == "matching"
    with transaction():
        resolve_dispute(
            locked(reopened), DisputeOutcome.COMPLETED, None, "the statement", actor=scene.support
        )
    with transaction():
        claim_payin(locked(order), None, actor=CUSTOMER)
        open_dispute(locked(order), DisputeReason.NOT_CONFIRMED, "I paid", None, actor=CUSTOMER)
    assert scene.payin(order.amount_minor).status == "matching"
    assert run_checks((*CHECKS, *ORDER_CHECKS)) == []
