"""What a superuser writes past every trigger into settled orders, with everything else carried along, is found."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.core.errors import ValidationFailed
from portal.ledger.integrity import run_checks
from portal.orders import pricing
from portal.orders.integrity.proof import CHECKS
from portal.orders.integrity.settlements import commission_sql, settlement_sql, share_sql
from portal.orders.queries import get_order
from portal.orders.service import (
    accept_payout,
    claim_payin,
    claim_payout,
    confirm_payin,
    confirm_payout,
    decline_payin,
)
from portal.orders.service.deadlines import act_on_deadline
from tests.orders.test_payout import attach_proof
from tests.scene import Scene, as_trader, build_scene


@dataclass
class Settled:
    """A payin as asked, one with another amount, one that came late, one matched twice, and a payout."""

    scene: Scene
    ids: dict[str, Any]


@pytest.fixture
def settled(app: Flask) -> Settled:
    with transaction():
        scene = build_scene()
    first, second = scene.trader(), scene.trader()
    scene.requisite(first)
    scene.fund_store()
    payin, other, late = scene.payin(), scene.payin(1600_00), scene.payin(1700_00)
    trader = as_trader(first)
    with transaction():
        claim_payin(get_order(payin.id, lock=True), None, actor=CUSTOMER)
        confirm_payin(get_order(payin.id, lock=True), None, actor=trader)
        confirm_payin(get_order(other.id, lock=True), 1599_50, actor=trader)
        act_on_deadline(get_order(late.id, lock=True))
        confirm_payin(get_order(late.id, lock=True), 1699_00, actor=trader)
    again = scene.payin(1800_00)
    scene.requisite(second)
    with transaction():
        decline_payin(get_order(again.id, lock=True), "no", actor=trader)
    payout = scene.payout()
    with transaction():
        accept_payout(second.id, payout.id, actor=as_trader(second))
    attach_proof(payout)
    with transaction():
        claim_payout(get_order(payout.id, lock=True), actor=as_trader(second))
        confirm_payout(get_order(payout.id, lock=True), actor=scene.merchant)
    ids = {
        "payin": payin.id, "other": other.id, "late": late.id, "again": again.id, "payout": payout.id, "store": scene.store_id,
        "first": first.id, "second": second.id,
    }  # fmt: skip
    return Settled(scene, ids)


def findings() -> set[str]:
    with transaction():
        return {finding.check for finding in run_checks(CHECKS)}


def test_a_world_of_settled_orders_holds(settled: Settled) -> None:
    assert findings() == set()


def account(owner: str, kind: str, key: str | None = None) -> str:
    whose = f"owner_id = '{{{key}}}'" if key else "owner_id IS NULL"
    return f"(SELECT id FROM ledger_account WHERE owner_kind = '{owner}' AND kind = '{kind}' AND {whose})"


def shifted(order: str, kind: str, source: str, target: str, amount: int = 1) -> tuple[str, ...]:
    """Money moved within one entry, with every later balance carried along: sums and running balances agree."""
    entry = f"(SELECT id FROM ledger_entry WHERE subject_id = '{{{order}}}' AND kind = '{kind}')"
    statements = []
    for place, by in ((source, -amount), (target, amount)):
        first = f"(SELECT min(id) FROM ledger_posting WHERE entry_id = {entry} AND account_id = {place})"
        statements += [
            f"UPDATE ledger_posting SET balance_after = balance_after + ({by}) WHERE account_id = {place} AND id >= {first}",
            f"UPDATE ledger_posting SET amount = amount + ({by}) WHERE entry_id = {entry} AND account_id = {place}",
            f"UPDATE ledger_account SET balance = balance + ({by}) WHERE id = {place} AND keeps_balance",
            f"UPDATE ledger_unfolded SET amount = amount + ({by}) WHERE account_id = {place} AND posting_id = {first}",
        ]
    return tuple(statements)


STORE, FIRST, SECOND = (
    account(o, "available", k) for o, k in (("store", "store"), ("trader", "first"), ("trader", "second"))
)
PLATFORM = account("platform", "revenue")
SETTLEMENT = "every settlement follows from its order's frozen terms, to the accounts of its people"
PRICE = "every order's price follows from its frozen rate and fees"
IN_FORCE = "every order's rate was in force: the history of rates holds it"
HOLD = "every hold and release follows from its order's frozen terms"
DEPOSIT = "every deposit has a record of where it came from, and moves what that says"
OTHER_KIND = "no entry is of a kind that nothing posts"
BELONGS = "every entry of an order is of a kind that its direction has"
_ORDER = "UPDATE orders SET {what} WHERE id = '{{{which}}}'"


def order(which: str, what: str) -> tuple[str, ...]:
    return (_ORDER.format(what=what, which=which),)


def posted(
    kind: str, subject: str, subject_id: str, *moves: tuple[str, int], reason: str = "null"
) -> tuple[str, ...]:
    accounts, amounts = (", ".join(str(move[n]) for move in moves) for n in (0, 1))
    currencies = ", ".join("'USDT'" for _ in moves)
    return (
        (
            f"SELECT ledger_post('{kind}', 'live', '{subject}', {subject_id}, 9, 'ops', null, {reason}, null,"
            f" array[{accounts}], array[{currencies}], array[{amounts}]::bigint[])"
        ),
    )


_WORLD = (
    "(SELECT id FROM ledger_account WHERE owner_kind = 'world' AND kind = 'settlement' AND mode = 'live')"
)
_NEW = "gen_random_uuid()"
ANOTHER_IS_PAID = (
    (
        f"UPDATE ledger_posting SET account_id = {SECOND} WHERE account_id = {FIRST} AND entry_id ="
        " (SELECT id FROM ledger_entry WHERE subject_id = '{payin}' AND kind = 'payin_completed')"
    ),
)
OTHER_DIRECTION = (
    (
        "UPDATE ledger_entry SET kind = 'payout_released', round = 8"
        " WHERE subject_id = '{again}' AND kind = 'payin_released'"
    ),
)
TAMPERED: dict[str, tuple[tuple[str, ...], str]] = {
    "1 unit from store to trader": (shifted("payin", "payin_completed", STORE, FIRST), SETTLEMENT),
    "1 USDT from store to trader in a late one": (shifted("late", "payin_completed", STORE, FIRST, 10**6), SETTLEMENT),
    "1,000 units from platform to store": (shifted("other", "payin_completed", PLATFORM, STORE, 1000), SETTLEMENT),
    "1 unit from trader to lead": (
        shifted("payin", "payin_completed", FIRST, "(SELECT id FROM ledger_account WHERE owner_kind = 'lead')"), SETTLEMENT,
    ),
    "1 unit from platform to trader of a payout": (shifted("payout", "payout_completed", PLATFORM, SECOND), SETTLEMENT),
    "another trader is paid": (ANOTHER_IS_PAID, SETTLEMENT),
    "the rate": (order("payin", "rate_micros = rate_micros + 1000000"), PRICE),
    "the rate of one that is not settled": (order("again", "rate_micros = rate_micros + 1000000"), PRICE),
    "the rate's time": (order("payin", "rate_at = rate_at - interval '1 hour'"), IN_FORCE),
    "the rate's source": (order("again", "rate_source = 'elsewhere'"), IN_FORCE),
    "the rate and all that follows from it, of an order without a trader": (
        order("again", "rate_micros = rate_micros * 2, settlement_minor = 9473684, fee_minor = 284211"), IN_FORCE,
    ),
    "the history of rates": (("DELETE FROM rate_history",), IN_FORCE),
    "the settlement": (order("payin", "settlement_minor = settlement_minor + 1"), PRICE),
    "the fee": (order("payin", "fee_minor = fee_minor - 1"), PRICE),
    "the store's rate of a payout": (order("payout", "store_fee_bps = store_fee_bps + 10"), PRICE),
    "the trader's rate of a payout": (order("payout", "trader_commission_bps = trader_commission_bps + 10"), SETTLEMENT),
    "the lead's rate": (order("payin", "lead_commission_bps = 0"), SETTLEMENT),
    "the fixed fee": (order("late", "fixed_fee_minor = 5"), PRICE),
    "what was received": (order("payin", "amount_received_minor = amount_minor + 100"), PRICE),
    "what was asked of one whose hold is open": (order("again", "amount_minor = amount_minor + 100"), PRICE),
    "the store": (order("payin", "store_id = gen_random_uuid()"), SETTLEMENT),
    "the trader": (order("payin", "trader_id = '{second}'"), SETTLEMENT),
    "a hold that is larger": (
        shifted("again", "payin_matched' AND round = '2", SECOND, account("trader", "held", "second"), 7), HOLD,
    ),
    "who was asked before": (("DELETE FROM past_assignment",), HOLD),
    "an order's entry under the other direction": (OTHER_DIRECTION, BELONGS),
    "a deposit without a record": (posted("deposit", "deposit", _NEW, (FIRST, 5), (_WORLD, -5)), DEPOSIT),
    "a deposit of another amount": (("UPDATE deposit SET amount_minor = amount_minor - 1",), DEPOSIT),
    "a deposit's record that is gone": (("DELETE FROM deposit",), DEPOSIT),
    "an adjustment": (
        posted("adjustment", "adjustment", _NEW, (FIRST, 5), (PLATFORM, -5), reason="'because'"), OTHER_KIND,
    ),
    "a withdrawal": (posted("withdrawal_paid", "withdrawal", _NEW, (FIRST, -5), (_WORLD, 5)), OTHER_KIND),
}  # fmt: skip


@pytest.mark.proves("tried C11")
@pytest.mark.parametrize("what", TAMPERED)
def test_what_a_superuser_changes_of_settled_money_is_found(settled: Settled, what: str) -> None:
    statements, check = TAMPERED[what]
    with transaction():
        hot("SET LOCAL session_replication_role = replica")
        for statement in statements:
            if statement.startswith("SELECT ledger_post"):
                hot("SET LOCAL session_replication_role = origin")
            hot(statement.format(**settled.ids))
        hot("SET LOCAL session_replication_role = origin")
    assert check in findings()


@pytest.mark.proves("tried C4")
@given(
    fiat=st.integers(1, 10**15),
    exponents=st.tuples(st.sampled_from([0, 2, 3, 8]), st.sampled_from([2, 6])),
    rate=st.one_of(st.integers(1, 10**12), st.sampled_from([10**6, 2 * 10**6, 95 * 10**6])),
    # Half of the plans leave the platform nothing, so that commissions are cut.
    bps=st.one_of(
        st.tuples(*[st.integers(0, 10_000)] * 3),
        st.tuples(st.integers(0, 5000), st.integers(0, 5000)).map(lambda two: (sum(two), *two)),
    ),
    fixed=st.sampled_from([0, 0, 1, 10**9]),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_proof_computes_what_the_house_computes(
    app: Flask, fiat: int, exponents: tuple[int, int], rate: int, bps: tuple[int, int, int], fixed: int
) -> None:
    store, trader, lead = bps
    there = SimpleNamespace(
        amount_minor=fiat,
        rate_micros=rate,
        store_fee_bps=store,
        fixed_fee_minor=fixed,
        trader_commission_bps=trader,
        lead_commission_bps=lead,
    )
    ours = priced_by_the_house(there, exponents)
    if ours is None:
        return
    worth = settlement_sql("%(fiat)s::bigint", "%(rate)s::bigint", str(exponents[0]), str(exponents[1]))
    fee = f"({share_sql('w.due', str(bps[0]))} + {fixed})"
    row = hot(
        f"SELECT w.due, {fee} AS fee, {commission_sql('trader', fee)} AS trader, {commission_sql('lead', fee)} AS lead"
        f" FROM (SELECT {worth} AS due) w, (SELECT {bps[0]}::smallint AS store_fee_bps,"
        f" {bps[1]}::smallint AS trader_commission_bps, {bps[2]}::smallint AS lead_commission_bps) o",
        {"fiat": fiat, "rate": rate},
    )[0]
    assert (row["due"], row["fee"], row["trader"], row["lead"]) == ours


def priced_by_the_house(
    order: SimpleNamespace, exponents: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """What portal.orders.pricing says; None for what it refuses, and for what no amount can be."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            currencies = dict(
                zip(("fiat", "settlement"), (SimpleNamespace(exponent=e) for e in exponents), strict=True)
            )
            patch.setattr("portal.orders.pricing.get_currency", currencies.__getitem__)
            value = pricing.settlement_of(order.amount_minor, "fiat", "settlement", order.rate_micros)
        if value > 10**15:
            return None
        split = pricing.split_of(
            value,
            order.store_fee_bps,
            order.fixed_fee_minor,
            order.trader_commission_bps,
            order.lead_commission_bps,
            is_payin=False,
        )
    except ValidationFailed:
        return None
    return value, split.store_fee_minor, split.trader_minor, split.lead_minor
