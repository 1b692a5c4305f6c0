"""Another amount than the order's: nobody is paid on one person's word beyond what the store allows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from portal.core.actors import CUSTOMER, SYSTEM, Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.errors import DomainError, Forbidden, InvalidTransition, ValidationFailed
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import find_open_dispute, open_dispute, open_unconfirmed, resolve_dispute
from portal.ledger.errors import InsufficientFunds
from portal.ledger.integrity import CHECKS, run_checks
from portal.ledger.models import AccountKind
from portal.merchants.tolerance import Tolerance, set_tolerance, tolerance_of
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.orders.queries import get_order, list_steps
from portal.orders.record import OrderRecord
from portal.orders.representation import order_object
from portal.orders.service import (
    act_on_due_orders,
    agree_to_amount,
    cancel_order,
    claim_payin,
    confirm_payin,
    confirm_payin_at_once,
)
from portal.orders.service.amounts import AmountCorrected, NeedsSecondPerson, OutsideTolerance
from portal.traders.models import Trader
from tests.orders.test_payin import DEPOSIT, A, events, locked, make_due
from tests.scene import USDT, Scene, as_trader, build_scene

pytestmark = pytest.mark.proves("tried S3")
ADMIN, OPS = Actor(ActorKind.ADMIN), Actor(ActorKind.OPS)


def claimed(scene: Scene, amount_minor: int = 1500_00) -> tuple[Trader, OrderRecord]:
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin(amount_minor)
    with transaction():
        return trader, claim_payin(locked(order), None, actor=CUSTOMER)


def reported(scene: Scene, received_minor: int) -> tuple[Trader, OrderRecord]:
    trader, order = claimed(scene)
    with transaction():
        return trader, confirm_payin(locked(order), received_minor, actor=as_trader(trader))


@pytest.mark.parametrize("received", [1, 1400_00, 1498_49, 1501_51, 1_000_000_00])
def test_a_trader_alone_settles_nothing_outside_the_stores_tolerance(scene: Scene, received: int) -> None:
    trader, order = reported(scene, received)
    assert (order.status, order.amount_reported_minor, order.amount_received_minor) == (
        "awaiting_confirmation", received, None,
    )  # fmt: skip
    assert scene.trader_balance(trader, AccountKind.HELD) == A
    assert scene.store_balance() == 0
    assert events(order)[-1] == "order.amount_reported"
    assert "order.completed" not in events(order)
    assert order.due_at == order.read_at + timedelta(days=1)
    assert run_checks((*CHECKS, *ORDER_CHECKS)) == []


def test_nobody_is_asked_to_agree_to_what_could_not_be_settled(app: Flask) -> None:
    """0.01 RUB is less than this store's fixed fee."""
    with transaction():
        scene = build_scene(fixed_minor=USDT)
    trader, order = claimed(scene)
    with pytest.raises(ValidationFailed), transaction():
        confirm_payin(locked(order), 1, actor=as_trader(trader))
    after = get_order(order.id)
    assert (after.amount_reported_minor, after.version) == (None, order.version)


def test_a_report_tells_the_shop_the_amount_and_by_whom(scene: Scene) -> None:
    _, order = reported(scene, 500_00)
    told = hot(
        "SELECT data FROM event WHERE subject_id = %(id)s ORDER BY version DESC LIMIT 1", {"id": order.id}
    )
    assert (told[0]["data"]["amount_reported"], told[0]["data"]["amount_received"]) == ("500.00", None)
    last = list_steps(order.id)[-1]
    assert (last.event, last.actor_kind, last.reason) == ("amount_reported", "trader", "500.00 RUB")


@pytest.mark.parametrize("received", [1498_50, 1499_99, 1501_50])
def test_within_the_tolerance_a_traders_word_is_enough(scene: Scene, received: int) -> None:
    _, order = reported(scene, received)
    assert (order.status, order.amount_received_minor) == ("completed", received)


@pytest.mark.parametrize(
    ("tolerance", "is_enough"),
    [
        (Tolerance(500, 736_841), False),
        (Tolerance(500, 736_842), True),
        (Tolerance(466, 100 * USDT), False),
        (Tolerance(467, 100 * USDT), True),
        (Tolerance(0, 0), False),
    ],
)
def test_a_difference_is_within_the_tolerance_when_it_is_within_both_limits(
    scene: Scene, tolerance: Tolerance, is_enough: bool
) -> None:
    """70.00 RUB too little of 1500.00: 4.667 % and 0.736842 USDT."""
    with transaction():
        set_tolerance(scene.store_id, tolerance, "agreed with the shop", actor=OPS)
    _, order = reported(scene, 1430_00)
    assert (order.status == "completed") is is_enough


def test_setting_a_tolerance_is_audited_and_nonsense_is_refused(scene: Scene) -> None:
    with transaction():
        set_tolerance(scene.store_id, Tolerance(50, 2 * USDT), "agreed with the shop", actor=OPS)
    row = hot("SELECT * FROM audit_entry WHERE action = 'store.tolerance_set' ORDER BY id DESC LIMIT 1")[0]
    assert (row["subject_id"], row["reason"]) == (str(scene.store_id), "agreed with the shop")
    assert (row["before"], row["after"]) == ({"bps": 10, "minor": 1 * USDT}, {"bps": 50, "minor": 2 * USDT})
    for field, nonsense in (("bps", Tolerance(-1, 0)), ("amount", Tolerance(0, -1))):
        with pytest.raises(ValidationFailed) as refused, transaction():
            set_tolerance(scene.store_id, nonsense, "agreed with the shop", actor=OPS)
        assert [problem.field for problem in refused.value.errors] == [field]


@pytest.mark.proves("tried S7")
def test_no_tolerance_is_wide_enough_to_go_round_the_second_person(scene: Scene) -> None:
    """Set to its most, and then still nobody alone completes 1,500.00 with more than a twentieth above."""
    for field, wide in (("bps", Tolerance(501, 0)), ("amount", Tolerance(0, 100 * USDT + 1))):
        with pytest.raises(ValidationFailed) as refused, transaction():
            set_tolerance(scene.store_id, wide, "agreed with the shop", actor=OPS)
        assert [problem.field for problem in refused.value.errors] == [field]
    with transaction():
        assert tolerance_of(scene.store_id) == Tolerance(10, 1 * USDT)
        set_tolerance(scene.store_id, Tolerance(500, 100 * USDT), "agreed with the shop", actor=OPS)
    _, order = claimed(scene)
    with pytest.raises(NeedsSecondPerson), transaction():
        confirm_payin(locked(order), 1575_01, actor=OPS)
    with transaction():
        assert confirm_payin(locked(order), 1575_00, actor=OPS).status == "completed"


def test_a_tolerance_from_before_there_was_a_most_goes_on_and_is_lowered(scene: Scene) -> None:
    with transaction():
        hot("UPDATE store SET tolerance_bps = 10000 WHERE id = %(id)s", {"id": scene.store_id})
    with transaction():
        assert tolerance_of(scene.store_id) == Tolerance(10_000, 1 * USDT)
        set_tolerance(scene.store_id, Tolerance(10, 1 * USDT), "agreed with the shop", actor=OPS)
    assert tolerance_of(scene.store_id) == Tolerance(10, 1 * USDT)


@pytest.mark.parametrize("received", [500_00, 2000_00])
def test_the_customer_agrees_and_the_order_is_completed_with_that(scene: Scene, received: int) -> None:
    trader, order = reported(scene, received)
    with transaction():
        done = agree_to_amount(locked(order), received, actor=CUSTOMER)
    assert (done.status, done.amount_received_minor, done.amount_reported_minor, done.due_at) == (
        "completed", received, None, None,
    )  # fmt: skip
    assert done.settlement_minor == round(received * 10_000 / 95)
    assert scene.store_balance() == done.settlement_minor - done.fee_minor
    assert scene.trader_balance(trader, AccountKind.HELD) == 0
    assert scene.trader_balance(trader, AccountKind.FIAT) == received
    assert set(events(order)[-2:]) == {"order.amount_changed", "order.completed"}
    with transaction():
        assert agree_to_amount(locked(order), received, actor=CUSTOMER).version == done.version
    with pytest.raises(InvalidTransition), transaction():
        agree_to_amount(locked(order), received + 1, actor=CUSTOMER)
    assert run_checks((*CHECKS, *ORDER_CHECKS)) == []


@pytest.mark.parametrize("actor", [SYSTEM, ADMIN, OPS, Actor(ActorKind.TRADER), Actor(ActorKind.MERCHANT)])
def test_nobody_agrees_in_the_customers_place(scene: Scene, actor: Actor) -> None:
    _, order = reported(scene, 500_00)
    with pytest.raises(Forbidden), transaction():
        agree_to_amount(locked(order), 500_00, actor=actor)
    assert get_order(order.id).status == "awaiting_confirmation"


def test_a_corrected_report_cannot_be_agreed_to_unseen_and_gives_no_more_time(scene: Scene) -> None:
    trader, first = reported(scene, 500_00)
    with transaction():
        hot("UPDATE orders SET due_at = due_at - interval '1 hour' WHERE id = %(id)s", {"id": first.id})
    version = get_order(first.id).version
    with transaction():
        second = confirm_payin(locked(first), 400_00, actor=as_trader(trader))
    assert (second.amount_reported_minor, second.version) == (400_00, version + 1)
    assert first.due_at is not None
    assert second.due_at == first.due_at - timedelta(hours=1)
    with transaction():
        assert confirm_payin(locked(first), 400_00, actor=as_trader(trader)).version == second.version
    with pytest.raises(AmountCorrected), transaction():
        agree_to_amount(locked(first), 500_00, actor=CUSTOMER)
    with transaction():
        assert agree_to_amount(locked(first), 400_00, actor=CUSTOMER).amount_received_minor == 400_00


def test_nothing_is_agreed_to_before_anything_is_reported(scene: Scene) -> None:
    _, order = claimed(scene)
    for amount in (1500_00, 500_00, 0):
        with pytest.raises(InvalidTransition), transaction():
            agree_to_amount(locked(order), amount, actor=CUSTOMER)


def test_the_trader_may_still_confirm_all_of_it(scene: Scene) -> None:
    trader, order = reported(scene, 500_00)
    done = confirm_payin_at_once(lambda **lock: get_order(order.id, **lock), None, actor=as_trader(trader))
    assert (done.status, done.amount_received_minor, done.amount_reported_minor) == (
        "completed",
        1500_00,
        None,
    )


def test_silence_about_the_amount_is_a_dispute_for_the_desk(scene: Scene) -> None:
    _, order = reported(scene, 500_00)
    make_due(order)
    assert act_on_due_orders(open_case=open_unconfirmed) == 1
    case = find_open_dispute(order.id)
    assert case is not None
    assert (case.reason, case.claimed_minor, case.opened_by_kind) == ("paid_another_amount", 500_00, "system")
    assert (get_order(order.id).status, get_order(order.id).amount_reported_minor) == ("disputed", 500_00)


def test_more_than_the_deposit_covers_is_not_agreed_to(scene: Scene) -> None:
    _, order = reported(scene, 9_999_999_00)
    with pytest.raises(InsufficientFunds), transaction():
        agree_to_amount(locked(order), 9_999_999_00, actor=CUSTOMER)
    assert get_order(order.id).status == "awaiting_confirmation"


@pytest.mark.proves("tried S7")
@pytest.mark.parametrize("actor", [ADMIN, OPS, Actor(ActorKind.SUPPORT)])
@pytest.mark.parametrize("received", [1501_51, 1_000_000_00])
def test_staff_alone_complete_nothing_above_the_amount_and_tolerance(
    scene: Scene, actor: Actor, received: int
) -> None:
    trader, order = claimed(scene)
    with pytest.raises(NeedsSecondPerson), transaction():
        confirm_payin(locked(order), received, actor=actor)
    with transaction():
        open_dispute(locked(order), DisputeReason.OTHER, None, None, actor=CUSTOMER)
    with pytest.raises(NeedsSecondPerson), transaction():
        resolve_dispute(locked(order), DisputeOutcome.COMPLETED, received, "so it is", actor=actor)
    assert get_order(order.id).status == "disputed"
    assert scene.trader_balance(trader) == DEPOSIT - A
    with transaction():
        done = resolve_dispute(locked(order), DisputeOutcome.COMPLETED, 1501_50, "so it is", actor=actor)
    assert (done.status, done.amount_received_minor) == ("completed", 1501_50)


@pytest.mark.parametrize("received", [100_00, 1400_00, 1501_00])
def test_staff_decide_below_the_amount_and_within_the_tolerance(scene: Scene, received: int) -> None:
    _, order = reported(scene, 500_00)
    with transaction():
        done = confirm_payin(locked(order), received, actor=Actor(ActorKind.SUPPORT), reason="the statement")
    assert (done.status, done.amount_received_minor) == ("completed", received)


def test_a_late_payment_of_another_amount_is_refused_with_what_to_do(scene: Scene) -> None:
    trader, order = scene.trader(), None
    scene.requisite(trader)
    order = scene.payin()
    make_due(order)
    act_on_due_orders()
    with pytest.raises(OutsideTolerance, match="open a dispute"), transaction():
        confirm_payin(locked(order), 500_00, actor=as_trader(trader))
    with pytest.raises(NeedsSecondPerson), transaction():
        confirm_payin(locked(order), 2000_00, actor=ADMIN)
    with transaction():
        assert confirm_payin(locked(order), 1499_00, actor=as_trader(trader)).status == "completed"


@pytest.mark.parametrize("received", [0, -1, 10**15 + 1])
def test_an_amount_that_is_none_is_refused(scene: Scene, received: int) -> None:
    trader, order = claimed(scene)
    with pytest.raises(ValidationFailed), transaction():
        confirm_payin(locked(order), received, actor=as_trader(trader))


def test_a_report_ends_with_the_order_and_is_told_while_it_lasts(scene: Scene) -> None:
    _, order = reported(scene, 500_00)
    assert order_object(order)["amount_reported"] == "500.00"
    with pytest.raises(DomainError), transaction():
        cancel_order(locked(order), None, actor=CUSTOMER)
    with transaction():
        open_dispute(locked(order), DisputeReason.OTHER, None, None, actor=CUSTOMER)
    with transaction():
        ended = resolve_dispute(locked(order), DisputeOutcome.CANCELLED, None, "no", actor=ADMIN)
    assert order_object(ended)["amount_reported"] is None
