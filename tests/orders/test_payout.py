"""The life of a payout: the store's money is held, offered, paid, confirmed, and never lost."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from PIL import Image

from portal.core.actors import SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.errors import Conflict, InvalidTransition, NotFound, ValidationFailed
from portal.core.modes import Mode
from portal.core.uploads.check import check_upload
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import find_open_dispute, open_dispute, open_unconfirmed, resolve_dispute
from portal.ledger.errors import InsufficientFunds
from portal.ledger.integrity import CHECKS, run_checks
from portal.ledger.models import AccountKind
from portal.merchants.service import set_traffic_rule
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.orders.models import Receipt, ReceiptKind
from portal.orders.queries import get_order, list_payout_offers, list_steps, recipient_number_of
from portal.orders.receipts import add_receipt
from portal.orders.record import OrderRecord
from portal.orders.service import (
    accept_payout,
    act_on_due_orders,
    cancel_order,
    claim_payout,
    confirm_payout,
    decline_payout,
)
from portal.orders.service.claim import ProofMissing
from portal.orders.service.decline import ProofAttached
from portal.orders.service.silences import beat
from portal.traders.models import Trader
from portal.traders.requisites import switch_own
from tests.orders.test_payin import FEE, A, events, locked, make_due
from tests.rows import change
from tests.scene import USDT, Scene, as_trader, counters
from tests.sent_files import LARGEST, receipt_pdf, screenshot

FUNDS = 1000 * USDT


@pytest.fixture
def funded(scene: Scene) -> Scene:
    with transaction():
        scene.fund_store(FUNDS)
    return scene


def attach_proof(order: OrderRecord, by: Trader | None = None) -> None:
    """As the trader who has the payout now, or `by` one who had it before."""
    with transaction():
        trader_id = by.id if by else get_order(order.id).trader_id
        db.session.add(
            Receipt(
                order_id=order.id, kind="payout_proof", file_key=f"k{order.id}", content_type="image/png",
                size_bytes=1, sha256=order.id.bytes * 2, actor_kind="trader", actor_id=trader_id, width=400, height=600,
                pages=1, is_blank=False,
            )
        )  # fmt: skip
        db.session.flush()


def test_a_payout_holds_amount_and_fee_of_the_store(funded: Scene) -> None:
    order = funded.payout()
    assert (order.status, order.hold_minor) == ("matching", A + FEE)
    assert funded.store_balance() == FUNDS - A - FEE
    assert funded.store_balance(AccountKind.HELD) == A + FEE
    assert order.recipient_masked is not None
    number = recipient_number_of(order)
    assert number is not None
    assert number not in order.recipient_masked


def test_a_payout_the_balance_does_not_cover_is_refused_and_leaves_nothing(scene: Scene) -> None:
    with transaction():
        scene.fund_store(10 * USDT)
    with pytest.raises(InsufficientFunds):
        scene.payout()
    assert scene.store_balance() == 10 * USDT
    assert (
        hot("SELECT count(*) AS n FROM orders WHERE store_id = %(id)s", {"id": scene.store_id})[0]["n"] == 0
    )


def test_a_payout_is_offered_accepted_paid_and_confirmed(funded: Scene) -> None:
    trader = funded.trader()
    requisite = funded.requisite(trader)
    order = funded.payout()
    assert [offer.id for offer in list_payout_offers(trader.id, Mode.LIVE)] == [order.id]
    with transaction():
        accepted = accept_payout(trader.id, order.id, actor=as_trader(trader))
    assert (accepted.status, accepted.requisite_id) == ("awaiting_payout", requisite.id)
    assert counters(requisite)["open_orders"] == 1
    with pytest.raises(Conflict), transaction():
        claim_payout(locked(order), actor=as_trader(trader))
    with transaction():
        attach_proof(order)
        claim_payout(locked(order), actor=as_trader(trader))
    with transaction():
        done = confirm_payout(locked(order), actor=funded.merchant)
    assert done.status == "completed"
    assert funded.store_balance(AccountKind.HELD) == 0
    assert funded.store_balance() == FUNDS - A - FEE
    assert funded.trader_balance(trader) == 10_000 * USDT + A + 157_895
    assert funded.trader_balance(trader, AccountKind.FIAT) == -1500_00
    assert counters(requisite)["open_orders"] == 0
    assert events(order) == ["order.matched", "order.claimed", "payout.completed"]
    assert run_checks() == []


def test_the_quiet_period_confirms_a_payout_by_itself(funded: Scene) -> None:
    trader = funded.trader()
    funded.requisite(trader)
    order = funded.payout()
    with transaction():
        accept_payout(trader.id, order.id, actor=as_trader(trader))
        attach_proof(order)
        claim_payout(locked(order), actor=as_trader(trader))
    make_due(order)
    assert act_on_due_orders(open_case=open_unconfirmed) == 1
    assert (get_order(order.id).status, get_order(order.id).status_reason) == ("completed", "nobody_objected")


def test_a_trader_who_does_not_pay_in_time_loses_it_to_the_next_one(funded: Scene) -> None:
    first, second = funded.trader(), funded.trader()
    requisite = funded.requisite(first)
    funded.requisite(second)
    order = funded.payout()
    with transaction():
        accept_payout(first.id, order.id, actor=as_trader(first))
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    assert get_order(order.id).status == "matching"
    assert set(counters(requisite).values()) == {0}
    assert funded.store_balance(AccountKind.HELD) == A + FEE
    assert list_payout_offers(first.id, Mode.LIVE) == []
    with pytest.raises(NotFound), transaction():
        accept_payout(first.id, order.id, actor=as_trader(first))
    with transaction():
        assert accept_payout(second.id, order.id, actor=as_trader(second)).trader_id == second.id


def test_the_second_who_accepts_is_told_so(funded: Scene) -> None:
    first, second = funded.trader(), funded.trader()
    funded.requisite(first)
    requisite = funded.requisite(second)
    order = funded.payout()
    with transaction():
        accept_payout(first.id, order.id, actor=as_trader(first))
    with pytest.raises(InvalidTransition), transaction():
        accept_payout(second.id, order.id, actor=as_trader(second))
    assert counters(requisite)["open_orders"] == 0


def test_declining_offers_it_to_the_others(funded: Scene) -> None:
    trader = funded.trader()
    funded.requisite(trader)
    order = funded.payout()
    with transaction():
        accept_payout(trader.id, order.id, actor=as_trader(trader))
    with transaction():
        assert decline_payout(locked(order), "bank_problem", actor=as_trader(trader)).status == "matching"
    assert list_payout_offers(trader.id, Mode.LIVE) == []


def test_nobody_takes_it_and_the_money_goes_back(funded: Scene) -> None:
    order = funded.payout()
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    assert get_order(order.id).status == "failed"
    assert funded.store_balance() == FUNDS
    assert funded.store_balance(AccountKind.HELD) == 0
    assert events(order) == ["payout.failed"]


def test_a_merchant_cancels_what_nobody_has_accepted_only(funded: Scene) -> None:
    trader = funded.trader()
    funded.requisite(trader)
    order, other = funded.payout(), funded.payout(1600_00)
    with transaction():
        assert cancel_order(locked(order), None, actor=funded.merchant).status == "cancelled"
    with transaction():
        accept_payout(trader.id, other.id, actor=as_trader(trader))
    with pytest.raises(InvalidTransition), transaction():
        cancel_order(locked(other), None, actor=funded.merchant)
    assert run_checks() == []


def test_a_store_can_keep_a_trader_away(funded: Scene) -> None:
    trader = funded.trader()
    funded.requisite(trader)
    with transaction():
        set_traffic_rule(funded.store_id, trader.id, "exclude", actor=SYSTEM)
    order = funded.payout()
    assert list_payout_offers(trader.id, Mode.LIVE) == []
    with pytest.raises(NotFound), transaction():
        accept_payout(trader.id, order.id, actor=as_trader(trader))


@pytest.mark.proves("tried S5")
def test_a_payout_with_proof_is_not_offered_again_when_its_time_is_up(funded: Scene) -> None:
    trader, other = funded.trader(), funded.trader()
    funded.requisite(trader)
    funded.requisite(other)
    order = funded.payout()
    with transaction():
        accept_payout(trader.id, order.id, actor=as_trader(trader))
        attach_proof(order)
    make_due(order)
    assert act_on_due_orders(open_case=open_unconfirmed) == 1
    now = get_order(order.id)
    assert (now.status, now.trader_id) == ("awaiting_confirmation", trader.id)
    assert now.due_at is not None
    assert now.due_at > now.read_at
    assert list_payout_offers(other.id, Mode.LIVE) == []
    last = list_steps(order.id)[-1]
    assert (last.event, last.actor_kind) == ("claimed", "system")
    assert run_checks(ORDER_CHECKS) == []


@pytest.mark.proves("tried S5")
@pytest.mark.parametrize("by_staff", [False, True])
def test_nobody_gives_a_payout_with_proof_to_another_trader(funded: Scene, by_staff: bool) -> None:
    trader = funded.trader()
    funded.requisite(trader)
    order = funded.payout()
    with transaction():
        accept_payout(trader.id, order.id, actor=as_trader(trader))
        attach_proof(order)
    actor = funded.support if by_staff else as_trader(trader)
    with pytest.raises(ProofAttached), transaction():
        decline_payout(locked(order), "bank_problem", actor=actor)
    assert get_order(order.id).status == "awaiting_payout"


def set_the_clock_back(order: OrderRecord, minutes: int) -> None:
    """What the house wrote of this order is from a time that is yet to come, until the clock process sees it."""
    beat(60)
    change(
        "UPDATE heartbeat SET beat_at = beat_at + %(by)s WHERE role = 'clock'",
        {"by": timedelta(minutes=minutes)},
    )
    change(
        "UPDATE orders SET assigned_at = assigned_at + %(by)s, updated_at = updated_at + %(by)s, due_at = due_at + %(by)s,"
        " pay_by = pay_by + %(by)s WHERE id = %(id)s",
        {"by": timedelta(minutes=minutes), "id": order.id},
    )


@pytest.mark.proves("tried S5")
@pytest.mark.parametrize("is_seen", [True, False])
def test_a_clock_set_back_before_the_proof_offers_a_proven_payout_to_nobody(
    funded: Scene, is_seen: bool
) -> None:
    first, second, third = funded.trader(), funded.trader(), funded.trader()
    for trader in (first, second, third):
        funded.requisite(trader)
    order = funded.payout()
    with transaction():
        accept_payout(first.id, order.id, actor=as_trader(first))
        decline_payout(locked(order), "bank_problem", actor=as_trader(first))
        accept_payout(second.id, order.id, actor=as_trader(second))
    set_the_clock_back(order, 20)
    if is_seen:
        beat(60)
    attach_proof(order)
    with pytest.raises(ProofAttached), transaction():
        decline_payout(locked(order), "bank_problem", actor=as_trader(second))
    make_due(order)
    assert act_on_due_orders(open_case=open_unconfirmed) == 1
    now = get_order(order.id)
    assert (now.status, now.trader_id) == ("awaiting_confirmation", second.id)
    assert list_payout_offers(third.id, Mode.LIVE) == []
    make_due(order)
    assert act_on_due_orders(open_case=open_unconfirmed) == 1
    assert get_order(order.id).status == "completed", "it is as good as any other proof"


@pytest.mark.proves("tried S5")
@pytest.mark.parametrize("moved_by", [timedelta(hours=-1), timedelta(hours=1)])
def test_what_the_trader_before_attached_proves_nothing_for_the_next_one(
    funded: Scene, moved_by: timedelta
) -> None:
    """Such a history can only be from before nobody could give a payout with proof back. The clock was set back since
    where the proof is of later than who has the payout now.
    """
    first, second = funded.trader(), funded.trader()
    funded.requisite(first)
    funded.requisite(second)
    order = funded.payout()
    with transaction():
        accept_payout(first.id, order.id, actor=as_trader(first))
        decline_payout(locked(order), "bank_problem", actor=as_trader(first))
        attach_proof(order, by=first)
    with transaction():
        hot(
            "UPDATE receipt SET created_at = now() + %(by)s WHERE order_id = %(id)s",
            {"id": order.id, "by": moved_by},
        )
        accept_payout(second.id, order.id, actor=as_trader(second))
    with pytest.raises(ProofMissing), transaction():
        claim_payout(locked(order), actor=as_trader(second))
    with transaction():
        assert decline_payout(locked(order), "bank_problem", actor=as_trader(second)).status == "matching"


@pytest.mark.proves("tried S4")
@pytest.mark.parametrize(("own_is_blank", "status"), [(True, "disputed"), (False, "completed")])
def test_silence_completes_on_the_strength_of_the_present_traders_proof_alone(
    funded: Scene, own_is_blank: bool, status: str
) -> None:
    """The good proof of the trader before stands in the order still; it says nothing of who pays now."""
    first, second = funded.trader(), funded.trader()
    funded.requisite(first)
    funded.requisite(second)
    order = funded.payout()
    with transaction():
        accept_payout(first.id, order.id, actor=as_trader(first))
        decline_payout(locked(order), "bank_problem", actor=as_trader(first))
        attach_proof(order, by=first)
    with transaction():
        sql = "UPDATE receipt SET created_at = now() - interval '1 hour', file_key = 'old', sha256 = %(sha)s WHERE order_id = %(id)s"
        hot(sql, {"id": order.id, "sha": second.id.bytes * 2})
        accept_payout(second.id, order.id, actor=as_trader(second))
    with transaction():
        attach_proof(order)
        sql = "UPDATE receipt SET is_blank = %(blank)s WHERE order_id = %(id)s AND file_key <> 'old'"
        hot(sql, {"id": order.id, "blank": own_is_blank})
        claim_payout(locked(order), actor=as_trader(second))
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    assert get_order(order.id).status == status


def claimed(funded: Scene, amount_minor: int = 1500_00, **proof: object) -> OrderRecord:
    """A payout that its trader says they have paid, with a proof that is (or is not) what a proof must be."""
    trader = funded.trader()
    funded.requisite(trader)
    order = funded.payout(amount_minor)
    with transaction():
        accept_payout(trader.id, order.id, actor=as_trader(trader))
        attach_proof(order)
        for column, value in proof.items():
            hot(f"UPDATE receipt SET {column} = %(v)s WHERE order_id = %(id)s", {"v": value, "id": order.id})
        return claim_payout(locked(order), actor=as_trader(trader))


@pytest.mark.proves("tried S4")
@pytest.mark.parametrize(
    "proof",
    [
        {"is_blank": True}, {"width": 2, "height": 2}, {"height": 199}, {"is_blank": None}, {"width": None},
        {"content_type": "application/pdf", "pages": None}, {"content_type": "application/pdf", "pages": 0},
    ],
)  # fmt: skip
def test_silence_completes_nothing_on_the_strength_of_a_poor_proof(
    funded: Scene, proof: dict[str, object]
) -> None:
    order = claimed(funded, **proof)
    make_due(order)
    assert act_on_due_orders(open_case=open_unconfirmed) == 1
    now = get_order(order.id)
    case = find_open_dispute(order.id)
    assert (now.status, now.hold_minor) == ("disputed", A + FEE)
    assert case is not None
    assert (case.reason, case.opened_by_kind) == ("not_confirmed", "system")
    assert run_checks((*CHECKS, *ORDER_CHECKS)) == []


@pytest.mark.proves("tried S4")
def test_silence_completes_nothing_above_the_limit(funded: Scene) -> None:
    order = claimed(funded, 19_000_01)
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    assert get_order(order.id).status == "disputed"
    with transaction():
        done = resolve_dispute(locked(order), DisputeOutcome.COMPLETED, None, "it came", actor=funded.support)
    assert done.status == "completed"


@pytest.mark.proves("tried S4")
def test_silence_completes_what_is_small_and_proven_by_a_pdf(funded: Scene) -> None:
    order = claimed(funded, 19_000_00, content_type="application/pdf", pages=1, width=None, height=None)
    make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    assert get_order(order.id).status == "completed"


@pytest.mark.proves("tried S4")
def test_a_proof_that_stands_in_another_order_as_well_is_none(funded: Scene) -> None:
    first = claimed(funded)
    second = claimed(funded, sha256=first.id.bytes * 2)
    for order in (first, second):
        make_due(order)
    act_on_due_orders(open_case=open_unconfirmed)
    assert [get_order(order.id).status for order in (first, second)] == ["disputed", "disputed"]


@pytest.mark.proves("tried S4")
@pytest.mark.parametrize("raw", [screenshot(), receipt_pdf()])
def test_a_proof_of_another_order_with_bytes_behind_its_end_is_none(funded: Scene, raw: bytes) -> None:
    orders = []
    for sent in (raw, raw + b"\0\0\0", screenshot(text="another")):
        trader = funded.trader()
        requisite = funded.requisite(trader)
        order = funded.payout(1500_00)
        upload = check_upload(sent, LARGEST, uploader="test")
        with transaction():
            accept_payout(trader.id, order.id, actor=as_trader(trader))
            add_receipt(locked(order), upload, ReceiptKind.PAYOUT_PROOF, actor=as_trader(trader))
            claim_payout(locked(order), actor=as_trader(trader))
            switch_own(requisite.trader_id, requisite.id, actor=SYSTEM, payin_on=False, payout_on=False)
        make_due(order)
        orders.append(order)
    act_on_due_orders(open_case=open_unconfirmed)
    assert [get_order(order.id).status for order in orders] == ["disputed", "disputed", "completed"]


@pytest.mark.proves("tried S4")
@pytest.mark.parametrize(
    ("size", "colour", "code"),
    [
        ((2, 2), "white", "proof_blank"),
        ((800, 800), "white", "proof_blank"),
        ((120, 900), None, "proof_too_small"),
    ],
)
def test_a_proof_that_shows_nothing_is_refused_at_once(
    funded: Scene, size: tuple[int, int], colour: str | None, code: str
) -> None:
    trader = funded.trader()
    funded.requisite(trader)
    order = funded.payout()
    with transaction():
        accept_payout(trader.id, order.id, actor=as_trader(trader))
    with Image.open(io.BytesIO(screenshot())) as drawn:
        image = drawn.resize(size) if colour is None else Image.new("RGB", size, colour)
    raw = io.BytesIO()
    image.save(raw, "PNG")
    upload = check_upload(raw.getvalue(), LARGEST, uploader="test")
    with pytest.raises(ValidationFailed) as refused, transaction():
        add_receipt(locked(order), upload, ReceiptKind.PAYOUT_PROOF, actor=as_trader(trader))
    assert refused.value.errors[0].code == code


@pytest.mark.proves("tried S4")
def test_the_merchant_objects_until_the_quiet_period_is_over(funded: Scene) -> None:
    order, late = claimed(funded), claimed(funded, 1600_00)
    with transaction():
        disputed = open_dispute(
            locked(order), DisputeReason.PAYOUT_NOT_RECEIVED, "nothing came", None, actor=funded.merchant
        )
    assert (disputed.status, disputed.due_at) == ("disputed", None)
    make_due(late)
    act_on_due_orders(open_case=open_unconfirmed)
    assert get_order(late.id).status == "completed"
    with pytest.raises(InvalidTransition), transaction():
        open_dispute(
            locked(late), DisputeReason.PAYOUT_NOT_RECEIVED, "nothing came", None, actor=funded.merchant
        )
