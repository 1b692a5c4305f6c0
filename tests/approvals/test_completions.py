"""A payin completed with more than its amount takes two people: what each step writes, and what the ledger says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from portal.approvals.errors import OneIsEnough, RequestDecided, RequestExpired, RequestStale, RequestWaiting
from portal.approvals.kinds import Amount, Line
from portal.approvals.models import ApprovalState
from portal.approvals.queries import look_at
from portal.approvals.service import decide, end_what_has_passed, propose, withdraw
from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.core.errors import InvalidTransition, NotFound, ValidationFailed
from portal.disputes.above_tolerance import DISPUTE_COMPLETION
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.ledger.errors import InsufficientFunds
from portal.ledger.integrity import CHECKS, run_checks
from portal.merchants.tolerance import Tolerance, set_tolerance
from portal.orders.above_tolerance import COMPLETION, CompletionPayload
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.orders.models import ReceiptKind
from portal.orders.queries import get_order
from portal.orders.receipts import add_receipt
from portal.orders.service import (
    accept_payout,
    act_on_due_orders,
    cancel_order,
    claim_payout,
    confirm_payin,
)
from portal.orders.service.amounts import is_within_tolerance, most_alone_minor
from tests.access.people import acting
from tests.approvals.room import ASKED, MORE, RECEIVED, A, Room, past_the_house
from tests.rows import change
from tests.scene import USDT, as_trader
from tests.web.desk import upload

pytestmark = pytest.mark.proves("tried S7")
DEPOSIT = 10_000 * USDT


@pytest.fixture
def room(app: Flask) -> Room:
    return Room()


def amounts(lines: tuple[Line, ...]) -> dict[str, tuple[int, int]]:
    found = {}
    for line in lines:
        assert isinstance(line.before, Amount)
        assert isinstance(line.after, Amount)
        found[line.what] = (line.before.minor, line.after.minor)
    return found


def test_one_proposes_another_decides_and_everybody_is_paid_once(room: Room) -> None:
    before = room.money()
    request = room.propose()
    assert room.money() == before, "nothing happens before the second person"
    assert room.now().status == "awaiting_confirmation"
    room.decide(request)
    done = room.now()
    assert (done.status, done.amount_received_minor, done.settlement_minor) == ("completed", RECEIVED, MORE)
    fee, commission = 2_842_105, 947_368
    assert room.money() == (DEPOSIT - MORE + commission, 0, MORE - fee)
    assert room.entries() == ["payin_matched", "payin_completed"]
    assert room.ledger_sum() == {"RUB": 0, "USDT": 0}
    assert run_checks((*CHECKS, *ORDER_CHECKS)) == []
    assert room.state(request) is ApprovalState.APPROVED
    assert room.audited() == [
        ("approval.requested", room.ada.id), ("approval.approved", room.ben.id), ("order.confirmed", room.ben.id),
    ]  # fmt: skip


def test_the_preview_says_what_the_ledger_says_afterwards(room: Room) -> None:
    request = room.propose()
    preview = look_at(request).preview
    assert preview is not None
    told = amounts(preview.lines)
    assert told["received"] == (ASKED, RECEIVED)
    assert told["trader_pays"] == (A, MORE)
    assert told["beyond_hold"] == (0, MORE - A)
    assert told["store_gets"] == (A - 473_684, MORE - 2_842_105)
    assert told["store_fee"] == (473_684, 2_842_105)
    free, held, store = room.money()
    assert (told["trader_free"][0], told["trader_held"][0]) == (free, held)
    room.decide(request)
    assert room.money() == (told["trader_free"][1], told["trader_held"][1], store + told["store_gets"][1])
    parts = ("trader_commission", "lead_commission", "platform")
    assert sum(told[part][1] for part in parts) == told["store_fee"][1]


def test_up_to_the_tolerance_one_is_enough_and_the_preview_names_that_amount(room: Room) -> None:
    order = room.now()
    alone = most_alone_minor(order)
    assert (alone, is_within_tolerance(order, alone), is_within_tolerance(order, alone + 1)) == (
        1501_50,
        True,
        False,
    )
    for amount in (alone, ASKED, 900_00):
        with pytest.raises(OneIsEnough):
            room.propose(amount)
    request = room.propose(alone + 1)
    preview = look_at(request).preview
    assert preview is not None
    assert preview.alone_to == Amount(alone, "RUB")


@pytest.mark.parametrize(("bps", "minor"), [(0, 0), (500, 1), (500, 500_000), (3, 10**8), (10, 0)])
def test_what_one_completes_alone_ends_where_the_tolerance_does(room: Room, bps: int, minor: int) -> None:
    with transaction():
        set_tolerance(room.scene.store_id, Tolerance(bps, minor), "a test", actor=acting(room.ada))
    order = room.now()
    alone = most_alone_minor(order)
    assert is_within_tolerance(order, alone)
    assert not is_within_tolerance(order, alone + 1)


def test_what_is_refused_changes_nothing_and_says_why(room: Room) -> None:
    before, request = room.money(), room.propose()
    with pytest.raises(ValidationFailed), transaction():
        decide(request.id, b"", is_approved=False, actor=acting(room.ben), reason="  ")
    room.decide(request, is_approved=False)
    assert room.state(request) is ApprovalState.REFUSED
    assert (room.money(), room.now().status) == (before, "awaiting_confirmation")
    row = hot(
        "SELECT decision_reason, decided_by FROM approval_request WHERE id = %(id)s", {"id": request.id}
    )
    assert row == [{"decision_reason": "It can't be", "decided_by": room.ben.id}]
    assert room.audited()[-1] == ("approval.refused", room.ben.id)
    with pytest.raises(RequestDecided):
        room.decide(request)
    assert room.propose().id != request.id, "it can be proposed again"


def test_the_same_of_the_same_person_is_one_proposal_and_anything_else_waits(room: Room) -> None:
    request = room.propose()
    told = hot("SELECT count(*) AS n FROM notification WHERE kind = 'approval_wanted'")
    assert room.propose().id == request.id
    assert hot("SELECT count(*) AS n FROM notification WHERE kind = 'approval_wanted'") == told
    for differently in ({"by": room.ben}, {"received_minor": RECEIVED + 1}):
        with pytest.raises(RequestWaiting):
            room.propose(**differently)
    assert [line[0] for line in room.audited()].count("approval.requested") == 1


def test_who_proposed_takes_it_back_and_nobody_else_does(room: Room) -> None:
    request = room.propose()
    with pytest.raises(NotFound), transaction():
        withdraw(request.id, actor=acting(room.ben))
    with transaction():
        withdraw(request.id, actor=acting(room.ada))
    with transaction():
        withdraw(request.id, actor=acting(room.ada))
    assert [line[0] for line in room.audited()].count("approval.withdrawn") == 1, (
        "once, however often it is sent"
    )
    assert room.state(request) is ApprovalState.WITHDRAWN
    with pytest.raises(RequestDecided):
        room.decide(request)
    assert room.entries() == ["payin_matched"]


def test_one_proposal_about_an_order_waits_at_a_time(room: Room) -> None:
    first = room.propose()
    with pytest.raises(RequestWaiting):
        room.propose(RECEIVED + 1, by=room.ben)
    assert room.state(first) is ApprovalState.WAITING


def test_what_nobody_decided_in_time_is_over(room: Room) -> None:
    before = room.money()
    request = room.propose(life=timedelta(hours=1))
    assert request.expires_at - request.created_at == timedelta(hours=1)
    past_the_house(
        "UPDATE approval_request SET expires_at = now() - interval '1 second' WHERE id = %(id)s",
        id=request.id,
    )
    with pytest.raises(RequestExpired):
        room.decide(request)
    assert room.state(request) is ApprovalState.EXPIRED
    assert (room.money(), room.audited()[-1]) == (before, ("approval.expired", None))
    later = room.propose()
    past_the_house(
        "UPDATE approval_request SET expires_at = now() - interval '1 second' WHERE id = %(id)s", id=later.id
    )
    with transaction():
        assert end_what_has_passed() == 1
        assert end_what_has_passed() == 0
    assert room.state(later) is ApprovalState.EXPIRED


def test_an_order_that_has_moved_makes_its_proposal_stale(room: Room) -> None:
    request = room.propose()
    seen = look_at(request).seen
    with transaction():
        open_dispute(get_order(room.order.id, lock=True), DisputeReason.OTHER, None, None, actor=CUSTOMER)
    before = room.money()
    assert look_at(request).preview is None
    with pytest.raises(RequestStale):
        room.decide(request, seen=seen)
    assert room.state(request) is ApprovalState.STALE
    assert (room.money(), room.now().status) == (before, "disputed")
    assert room.audited()[-1] == ("approval.stale", None)
    # Whoever comes later is told the same: nobody has decided it.
    with pytest.raises(RequestStale):
        room.decide(request, seen=seen)


def test_a_stale_proposal_ends_by_itself_and_makes_room_for_the_next(room: Room) -> None:
    first = room.propose()
    with transaction():
        open_dispute(get_order(room.order.id, lock=True), DisputeReason.OTHER, None, None, actor=CUSTOMER)
        assert end_what_has_passed() == 1
    assert room.state(first) is ApprovalState.STALE
    second = room.propose(kind=DISPUTE_COMPLETION)
    past_the_house("UPDATE orders SET version = version + 1 WHERE id = %(id)s", id=room.order.id)
    third = room.propose(RECEIVED + 1, kind=DISPUTE_COMPLETION, by=room.ben)
    assert (room.state(second), room.state(third)) == (ApprovalState.STALE, ApprovalState.WAITING)


def test_a_dispute_is_decided_above_the_amount_by_two(room: Room) -> None:
    with transaction():
        open_dispute(get_order(room.order.id, lock=True), DisputeReason.OTHER, None, None, actor=CUSTOMER)
    with pytest.raises(InvalidTransition):
        room.propose()
    room.decide(room.propose(kind=DISPUTE_COMPLETION))
    done = room.now()
    assert (done.status, done.amount_received_minor) == ("completed", RECEIVED)
    assert room.ledger_sum() == {"RUB": 0, "USDT": 0}
    case = hot(
        "SELECT outcome, decided_by_id, decision_reason FROM dispute WHERE order_id = %(id)s", {"id": done.id}
    )
    assert case == [
        {
            "outcome": "completed",
            "decided_by_id": room.ben.id,
            "decision_reason": "The bank's statement says so",
        }
    ]


def test_a_late_payment_above_the_amount_takes_the_hold_anew_by_two(room: Room) -> None:
    room.order = room.scene.payin(ASKED + 100)
    change("UPDATE orders SET due_at = now() - interval '1 second' WHERE id = %(id)s", {"id": room.order.id})
    act_on_due_orders()
    assert room.now().status == "expired"
    preview = look_at(request := room.propose()).preview
    assert preview is not None
    assert amounts(preview.lines)["beyond_hold"][1] == MORE, "nothing is on hold any more"
    room.decide(request)
    assert room.now().status == "completed"
    assert room.ledger_sum() == {"RUB": 0, "USDT": 0}


def test_what_the_deposit_does_not_cover_is_not_approved_and_goes_on_waiting(room: Room) -> None:
    before, request = room.money(), room.propose(9_999_999_00)
    with pytest.raises(InsufficientFunds):
        room.decide(request)
    assert (room.state(request), room.money()) == (ApprovalState.WAITING, before)
    assert room.now().status == "awaiting_confirmation"
    assert room.audited()[-1][0] == "approval.requested"


def test_payouts_and_what_is_over_are_not_proposed(room: Room) -> None:
    room.scene.fund_store()
    payout = room.scene.payout()
    with transaction():
        paid = accept_payout(room.trader.id, payout.id, actor=as_trader(room.trader))
        add_receipt(paid, upload(1), ReceiptKind.PAYOUT_PROOF, actor=as_trader(room.trader))
        assert claim_payout(paid, actor=as_trader(room.trader)).status == "awaiting_confirmation"
    payload = CompletionPayload(order_id=payout.id, received_minor=RECEIVED)
    with pytest.raises(InvalidTransition), transaction():
        propose(COMPLETION, payload, "so it is", actor=acting(room.ada))
    with transaction():
        confirm_payin(get_order(room.order.id, lock=True), None, actor=acting(room.ada))
    with pytest.raises(InvalidTransition):
        room.propose()
    open_one = room.scene.payin(ASKED + 200)
    with transaction():
        cancel_order(get_order(open_one.id, lock=True), "no more", actor=acting(room.ada))
    room.order = open_one
    with pytest.raises(InvalidTransition):
        room.propose()
