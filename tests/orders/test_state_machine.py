"""Orders driven at random through the verbs, crashes included: after each step every invariant holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from portal.core.actors import CUSTOMER, Actor
from portal.core.db import db, hot, transaction
from portal.core.errors import DomainError
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, open_unconfirmed, resolve_dispute
from portal.ledger.integrity import CHECKS, run_checks
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.orders.models import Receipt
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import (
    accept_payout,
    agree_to_amount,
    cancel_order,
    choose_method,
    claim_payin,
    claim_payout,
    confirm_payin,
    confirm_payout,
    decline_payin,
    decline_payout,
    match_waiting_orders,
)
from portal.orders.service.deadlines import act_on_deadline, free_limits
from portal.orders.transitions import PAYIN, PAYOUT
from portal.traders.requisites import Terms, change_requisite
from tests.conftest import forget_what_is_held
from tests.scene import USDT, Scene, as_trader, build_scene

# Few amounts, so that the same one meets a requisite twice; deposits that some of them exhaust.
AMOUNTS = st.sampled_from([500_00, 1500_00, 1500_00, 9500_00])
# Most steps go through; some are cut off before their commit.
CRASHES = st.sampled_from([False] * 7 + [True])
HOUR = 3600
WINDOW = 11_000_00
# What a requisite's counters count: open orders, and what was completed.
COUNTING = {"awaiting_payment", "awaiting_payout", "awaiting_confirmation", "disputed", "completed"}
# Few orders, so that each of them gets far.
MOST_ORDERS = 3
LAWFUL = {
    (row_direction, source.value, row.target.value)
    for row_direction, rows in (("payin", PAYIN), ("payout", PAYOUT))
    for row in rows
    for source in row.sources
}


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """What a change of raises the version: all but what the search for a trader keeps for itself."""
    return {name: value for name, value in row.items() if name not in {"version", "retry_at", "match_trace"}}


class Cut(Exception):
    """The process dies between the verb and the commit."""


class Orders(RuleBasedStateMachine):
    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.outer = db.session.get_bind().begin_nested()
        with transaction():
            self.scene: Scene = build_scene()
        self.scene.fund_store(300 * USDT)
        self.traders = [self.scene.trader(deposit_minor=minor) for minor in (60 * USDT, 250 * USDT)]
        self.requisites = [
            self.scene.requisite(trader, max_open_orders=3, day_amount_limit=60_000_00, window_s=hours * HOUR,
                                 window_amount_limit=WINDOW)
            for trader, hours in zip(self.traders, (1, 4), strict=True)
        ]  # fmt: skip
        self.windows: dict[Any, int | None] = {r.id: r.window_s for r in self.requisites}
        # How long before "now" an order's present assignment (its round) began.
        self.ages: dict[tuple[Any, int], int] = {}

    def teardown(self) -> None:
        db.session.remove()
        self.outer.rollback()
        forget_what_is_held()

    def act(self, order_id: Any, verb: Callable[[OrderRecord], Any], *, crash: bool = False) -> None:
        """The verb on the locked order; a refusal changes nothing, a crash neither."""
        before = self.row(order_id)
        try:
            with transaction():
                verb(get_order(order_id, lock=True))
                if crash:
                    raise Cut
        except (DomainError, Cut):
            assert self.row(order_id) == before
            return
        after = self.row(order_id)
        assert (after["version"] > before["version"]) == (shown(after) != shown(before))
        old, new = before["status"], after["status"]
        assert old == new or (before["direction"], old, new) in LAWFUL, (old, new)

    def row(self, order_id: Any) -> dict[str, Any]:
        return hot("SELECT * FROM orders WHERE id = %(id)s", {"id": order_id})[0]

    def receiver(self, order: OrderRecord) -> Actor:
        owner = next((trader for trader in self.traders if trader.id == order.trader_id), self.traders[0])
        return as_trader(owner)

    @initialize(target=orders)
    def begin_with_one_of_each(self) -> Any:
        return multiple(self.scene.payin(1500_00).id, self.scene.payout(1500_00).id)

    @precondition(lambda self: self.count < MOST_ORDERS)
    @rule(target=orders, amount=AMOUNTS, method=st.sampled_from(["card", "card", None]))
    def create_payin(self, amount: int, method: str | None) -> Any:
        self.count += 1
        return self.scene.payin(amount, method=method).id

    @precondition(lambda self: self.count < MOST_ORDERS)
    @rule(target=orders, amount=AMOUNTS)
    def create_payout(self, amount: int) -> Any:
        self.count += 1
        try:
            return self.scene.payout(amount).id
        except DomainError:
            return multiple()

    @rule(order=orders, crash=CRASHES)
    def choose(self, order: Any, crash: bool) -> None:
        self.act(order, lambda o: choose_method(o, "card", None, actor=CUSTOMER), crash=crash)

    @rule()
    def match(self) -> None:
        with transaction():
            hot("UPDATE orders SET retry_at = now() - interval '1 second' WHERE retry_at IS NOT NULL")
        match_waiting_orders(20)

    @rule(order=orders, crash=CRASHES)
    def claim(self, order: Any, crash: bool) -> None:
        self.act(
            order, lambda o: claim_payin(o, None, actor=CUSTOMER) if o.is_payin else self.pay(o), crash=crash
        )

    def pay(self, order: OrderRecord) -> OrderRecord:
        db.session.add(
            Receipt(
                order_id=order.id, kind="payout_proof", file_key=f"{order.id}-{order.version}", look=None,
                content_type="image/png", size_bytes=1, sha256=order.id.bytes * 2, actor_kind="trader",
                actor_id=order.trader_id, width=400, height=400, pages=1, is_blank=order.version % 2 == 0,
            )
        )  # fmt: skip
        db.session.flush()
        return claim_payout(order, actor=self.receiver(order))

    @rule(order=orders, received=st.sampled_from([None, None, None, 400_00, 1500_00, 2000_00]), crash=CRASHES)
    def confirm(self, order: Any, received: int | None, crash: bool) -> None:
        def verb(o: OrderRecord) -> OrderRecord:
            if o.is_payin:
                return confirm_payin(o, received, actor=self.receiver(o))
            return confirm_payout(o, actor=self.scene.merchant)

        self.act(order, verb, crash=crash)

    @rule(order=orders, is_seen=st.sampled_from([True, True, False]), crash=CRASHES)
    def agree(self, order: Any, is_seen: bool, crash: bool) -> None:
        """The customer says yes to what is reported, or to what was before."""
        self.act(
            order,
            lambda o: agree_to_amount(
                o, (o.amount_reported_minor or 1) + (0 if is_seen else 1), actor=CUSTOMER
            ),
            crash=crash,
        )

    @rule(order=orders, crash=CRASHES)
    def cancel(self, order: Any, crash: bool) -> None:
        self.act(order, lambda o: cancel_order(o, "changed my mind", actor=self.scene.merchant), crash=crash)

    @rule(order=orders, crash=CRASHES)
    def decline(self, order: Any, crash: bool) -> None:
        def verb(o: OrderRecord) -> OrderRecord:
            step = decline_payin if o.is_payin else decline_payout
            return step(o, "no access", actor=self.receiver(o))

        self.act(order, verb, crash=crash)

    @rule(order=orders, crash=CRASHES)
    def deadline_passes(self, order: Any, crash: bool) -> None:
        if self.row(order)["due_at"] is None:
            return
        with transaction():
            hot("UPDATE orders SET due_at = now() - interval '1 second' WHERE id = %(id)s", {"id": order})
        self.act(order, lambda o: act_on_deadline(o, open_unconfirmed), crash=crash)

    @rule(order=orders, which=st.sampled_from([0, 1]), crash=CRASHES)
    def accept(self, order: Any, which: int, crash: bool) -> None:
        trader = self.traders[which]
        self.act(order, lambda o: accept_payout(trader.id, o.id, actor=as_trader(trader)), crash=crash)

    @rule(order=orders, crash=CRASHES)
    def dispute(self, order: Any, crash: bool) -> None:
        self.act(
            order,
            lambda o: open_dispute(o, DisputeReason.NOT_CONFIRMED, "?", None, actor=self.scene.support),
            crash=crash,
        )

    @rule(
        order=orders,
        outcome=st.sampled_from(DisputeOutcome),
        received=st.sampled_from([None, 400_00, 2000_00]),
        crash=CRASHES,
    )
    def resolve(self, order: Any, outcome: DisputeOutcome, received: int | None, crash: bool) -> None:
        def verb(o: OrderRecord) -> OrderRecord:
            known = received if o.is_payin and outcome is DisputeOutcome.COMPLETED else None
            return resolve_dispute(o, outcome, known, "decided", actor=self.scene.support)

        self.act(order, verb, crash=crash)

    @rule(which=st.sampled_from([0, 1]))
    def switch(self, which: int) -> None:
        with transaction():
            hot(
                "UPDATE requisite SET payin_on = NOT payin_on WHERE trader_id = %(id)s",
                {"id": self.traders[which].id},
            )

    @rule(order=orders, hours=st.sampled_from([1, 2, 3]))
    def time_passes_for_its_window(self, order: Any, hours: int) -> None:
        row = self.row(order)
        if row["assigned_at"] is None:
            return
        place = (order, row["round"])
        self.ages[place] = self.ages.get(place, 0) + hours * HOUR
        with transaction():
            hot(
                "UPDATE orders SET assigned_at = assigned_at - %(by)s, window_leaves_at = window_leaves_at - %(by)s"
                " WHERE id = %(id)s",
                {"by": timedelta(hours=hours), "id": order},
            )
        free_limits("UTC")

    @rule(which=st.sampled_from([0, 1]), hours=st.sampled_from([None, 1, 2, 4]))
    def change_window(self, which: int, hours: int | None) -> None:
        trader, requisite = self.traders[which], self.requisites[which]
        terms = Terms(
            holder=requisite.holder, bank=requisite.bank, min_amount=100_00, max_amount=1_000_000_00, max_open_orders=3,
            day_amount_limit=60_000_00, window_s=hours and hours * HOUR, window_amount_limit=hours and WINDOW,
        )  # fmt: skip
        with transaction():
            change_requisite(trader.id, requisite.id, terms, user_id=trader.id, actor=as_trader(trader))
        self.windows[requisite.id] = terms.window_s

    @invariant()
    def counters_are_what_the_orders_say(self) -> None:
        """Told by the orders' statuses and by how long they have been there; by no column the counting keeps."""
        rows = hot(
            "SELECT id, status, round, requisite_id, amount_minor FROM orders"
            # In dispute after its time was up it takes nothing of its requisite's limits.
            " WHERE status <> 'disputed' OR status_before_dispute IS DISTINCT FROM 'expired'"
        )
        for requisite_id, window_s in self.windows.items():
            mine = [row for row in rows if row["requisite_id"] == requisite_id and row["status"] in COUNTING]
            lying = [row for row in mine if self.ages.get((row["id"], row["round"]), 0) < (window_s or 0)]
            kept = hot(
                "SELECT open_orders, window_amount, total_amount FROM requisite WHERE id = %(id)s",
                {"id": requisite_id},
            )[0]
            assert kept == {
                "open_orders": sum(row["status"] != "completed" for row in mine),
                "window_amount": sum(row["amount_minor"] for row in lying),
                "total_amount": sum(row["amount_minor"] for row in mine),
            }

    @invariant()
    def every_check_finds_nothing(self) -> None:
        with transaction():
            assert run_checks((*CHECKS, *ORDER_CHECKS)) == []

    @invariant()
    def nobody_was_paid_beyond_the_tolerance_on_one_persons_word(self) -> None:
        rows = hot(
            """SELECT o.id FROM orders o WHERE o.status = 'completed' AND o.direction = 'payin'
                  AND (o.amount_received_minor > o.amount_minor * 1.001
                       OR o.amount_received_minor < o.amount_minor * 0.999)
                  AND NOT EXISTS (SELECT 1 FROM order_event v WHERE v.order_id = o.id AND (v.event = 'amount_agreed'
                    OR v.event = 'decided_completed' AND o.amount_received_minor < o.amount_minor))"""
        )
        assert rows == []

    @invariant()
    def only_open_orders_wait_for_something(self) -> None:
        rows = hot(
            "SELECT id FROM orders WHERE (due_at IS NULL) <> (status IN ('completed', 'cancelled', 'failed', 'expired', 'disputed'))"
        )
        assert rows == []


@pytest.mark.timeout(300)
@pytest.mark.proves("tried C1", "tried C3")
def test_any_sequence_of_steps_keeps_every_invariant(app: Flask) -> None:
    run_state_machine_as_test(
        Orders,
        settings=settings(
            max_examples=15, stateful_step_count=40, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
            # The steps that failed are told as they are: to shorten them takes minutes.
            phases=(Phase.generate,),
        ),
    )  # fmt: skip
