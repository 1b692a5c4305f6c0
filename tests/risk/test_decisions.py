"""Block beats allow, allow beats rules, the first rule that holds decides, and an error is never an allow."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from psycopg.errors import DeadlockDetected, InsufficientPrivilege
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal.core.actors import Actor, ActorKind
from portal.core.crypto import blind_index
from portal.core.db import db, transaction
from portal.core.errors import Conflict, NotFound, ValidationFailed
from portal.core.ids import public_id
from portal.reference.snapshot import forget_all
from portal.risk import rule_changes
from portal.risk.facts import FactBook, OrderFacts
from portal.risk.models import ListKind, ListName, RiskAction, RuleMode
from portal.risk.queries import decisions_of, get_rule
from portal.risk.rules import read_conditions
from portal.risk.service import decide, record_decision
from portal.risk.trial import try_rule

ADMIN = Actor(ActorKind.ADMIN)
Facts = Callable[..., OrderFacts]
Past = Callable[..., uuid.UUID]
ALWAYS = [{"fact": "currency", "op": "eq", "value": "RUB"}]
MANY = [{"fact": "customer_orders", "op": "ge", "value": 2, "minutes": 60}]


def add_rule(
    name: str, conditions: Any, action: RiskAction, mode: RuleMode = RuleMode.ON, priority: int = 100
) -> None:
    with transaction():
        rule_changes.add_rule(name, conditions, action, ADMIN, priority=priority)
        rule_changes.set_mode(name, mode, ADMIN)


def add_entry(list_name: ListName, kind: ListKind, value: str, **options: Any) -> None:
    with transaction():
        rule_changes.add_entry(list_name, kind, value, "seen before", ADMIN, **options)


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        with patch("portal.risk.facts.hot", side_effect=lambda sql, params: seen.append(sql)):
            yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_without_rules_and_lists_nothing_is_asked_and_nothing_kept(facts: Facts) -> None:
    order = facts(customer_ref="c-1", customer_ip="203.0.113.7")
    for _ in range(2):
        decide(order)
    with statements() as seen:
        decision = decide(order)
        record_decision(order.order_id, decision)
    assert (decision.action, decision.is_recorded, seen) == (RiskAction.ALLOW, False, [])


def test_a_rule_about_the_order_itself_asks_the_database_nothing(facts: Facts) -> None:
    add_rule("roubles", ALWAYS, RiskAction.REVIEW)
    for _ in range(2):
        decide(facts())
    with statements() as seen:
        assert decide(facts(customer_ref="c-1")).action is RiskAction.REVIEW
    assert seen == []


def test_a_rule_that_is_off_is_not_asked(facts: Facts) -> None:
    add_rule("roubles", ALWAYS, RiskAction.DENY, RuleMode.OFF)
    assert not decide(facts()).is_recorded


def test_a_rule_in_shadow_is_recorded_and_changes_nothing(facts: Facts) -> None:
    add_rule("roubles", ALWAYS, RiskAction.DENY, RuleMode.SHADOW)
    order = facts()
    decision = decide(order)
    assert decision.action is RiskAction.ALLOW
    with transaction():
        record_decision(order.order_id, decision)
    (kept,) = decisions_of(order.order_id)
    assert kept.decision == "allow"
    assert [(rule["name"], rule["action"], rule["shadow"]) for rule in kept.fired] == [
        ("roubles", "deny", True)
    ]
    assert kept.fired[0]["conditions"] == ALWAYS
    assert kept.facts == {"currency": "RUB"}


def test_the_first_rule_by_priority_decides(facts: Facts) -> None:
    add_rule("known good", [{"fact": "bank", "op": "eq", "value": "sber"}], RiskAction.ALLOW, priority=1)
    add_rule("large", [{"fact": "amount", "op": "ge", "value": "1000"}], RiskAction.REVIEW, priority=50)
    add_rule("roubles", ALWAYS, RiskAction.DENY, priority=100)
    assert decide(facts(bank="sber")).action is RiskAction.ALLOW
    assert decide(facts()).action is RiskAction.REVIEW
    assert decide(facts(amount_minor=100)).action is RiskAction.DENY
    assert decide(facts(amount_minor=100, currency="KZT")).action is RiskAction.ALLOW


def test_the_past_of_the_customer_decides(facts: Facts, past: Past) -> None:
    add_rule("many", MANY, RiskAction.DENY)
    past(5, customer_ref="c-1")
    assert decide(facts(customer_ref="c-1")).action is RiskAction.ALLOW
    past(5, customer_ref="c-1")
    decision = decide(facts(customer_ref="c-1"))
    assert decision.action is RiskAction.DENY
    assert decision.facts == {"customer_orders/60min": 2}


def test_a_rule_that_cannot_be_judged_means_review(facts: Facts) -> None:
    """Its query fails for real, and the transaction it ran in goes on."""
    add_rule("broken", MANY, RiskAction.ALLOW)
    with transaction():
        with patch("portal.risk.facts._CUSTOMER", "SELECT 1 / 0"):
            decision = decide(facts(customer_ref="c-1"))
        assert decision.action is RiskAction.REVIEW
        assert [(error["name"], error["error"]) for error in decision.errors] == [
            ("broken", "DivisionByZero")
        ]
        assert db.session.execute(text("SELECT 1")).scalar_one() == 1
    add_rule("roubles", ALWAYS, RiskAction.DENY, priority=200)
    with patch("portal.risk.facts._CUSTOMER", "SELECT 1 / 0"):
        assert decide(facts(customer_ref="c-1")).action is RiskAction.DENY, "an error softens nothing"


def test_conditions_that_cannot_be_read_any_more_mean_review(facts: Facts) -> None:
    add_rule("old", ALWAYS, RiskAction.ALLOW)
    with transaction():
        db.session.execute(text("""UPDATE risk_rule SET conditions = '[{"fact": "gone"}]'"""))
    forget_all()
    assert decide(facts()).action is RiskAction.REVIEW


def test_an_error_in_shadow_changes_nothing(facts: Facts) -> None:
    add_rule("broken", MANY, RiskAction.DENY, RuleMode.SHADOW)
    with patch("portal.risk.facts._CUSTOMER", "SELECT 1 / 0"):
        decision = decide(facts(customer_ref="c-1"))
    assert decision.action is RiskAction.ALLOW
    assert len(decision.errors) == 1


def test_a_lost_race_is_left_to_the_caller_to_retry(facts: Facts) -> None:
    add_rule("many", MANY, RiskAction.DENY)
    with patch("portal.risk.facts.hot", side_effect=DeadlockDetected), pytest.raises(DeadlockDetected):
        decide(facts(customer_ref="c-1"))


def test_each_kind_of_entry_blocks_whom_it_names(facts: Facts, store_id: uuid.UUID) -> None:
    store = public_id("st", store_id)
    cases: list[tuple[ListKind, str, dict[str, Any], dict[str, Any]]] = [
        (ListKind.CUSTOMER, f"{store}:c-1", {"customer_ref": "c-1"}, {"customer_ref": "c-2"}),
        (ListKind.IP, "203.0.113.7", {"customer_ip": "::ffff:203.0.113.7"}, {"customer_ip": "203.0.113.8"}),
        (
            ListKind.NETWORK,
            "198.51.100.0/24",
            {"customer_ip": "198.51.100.9"},
            {"customer_ip": "198.51.101.9"},
        ),
        (
            ListKind.REQUISITE_NUMBER,
            "4276380012345679",
            {"requisite_index": blind_index("requisite", "4276380012345679")},
            {"requisite_index": blind_index("requisite", "4276380012345678")},
        ),
        (
            ListKind.EMAIL_DOMAIN,
            "@Example.com",
            {"customer_email": "a@EXAMPLE.com"},
            {"customer_email": "a@b.example.com"},
        ),
    ]
    for kind, value, named, other in cases:
        add_entry(ListName.BLOCK, kind, value)
        assert decide(facts(**named)).action is RiskAction.DENY, kind
        assert decide(facts(**other)).action is RiskAction.ALLOW, kind
        with transaction():
            rule_changes.remove_entry(ListName.BLOCK, kind, value, ADMIN)
        assert decide(facts(**named)).action is RiskAction.ALLOW, kind


def test_a_customer_of_another_store_is_another_customer(facts: Facts) -> None:
    add_entry(ListName.BLOCK, ListKind.CUSTOMER, f"{public_id('st', uuid.uuid4())}:c-1")
    assert decide(facts(customer_ref="c-1")).action is RiskAction.ALLOW


def test_block_beats_allow_and_allow_beats_rules(facts: Facts) -> None:
    add_rule("roubles", ALWAYS, RiskAction.DENY)
    add_entry(ListName.ALLOW, ListKind.IP, "203.0.113.7")
    assert decide(facts(customer_ip="203.0.113.7")).action is RiskAction.ALLOW
    add_entry(ListName.BLOCK, ListKind.NETWORK, "203.0.113.0/24")
    assert decide(facts(customer_ip="203.0.113.7")).action is RiskAction.DENY


def test_an_entry_ends_when_it_says_so(facts: Facts) -> None:
    ends_at = datetime.now(UTC) + timedelta(days=1)
    add_entry(ListName.BLOCK, ListKind.IP, "203.0.113.7", expires_at=ends_at)
    order = {"customer_ip": "203.0.113.7"}
    assert decide(facts(**order)).action is RiskAction.DENY
    assert decide(facts(**order, at=ends_at)).action is RiskAction.ALLOW


def test_the_number_itself_is_kept_nowhere(store_id: uuid.UUID) -> None:
    add_entry(ListName.BLOCK, ListKind.REQUISITE_NUMBER, "4276380012345679")
    stored = db.session.execute(text("SELECT row_to_json(e)::text FROM risk_list_entry e")).scalar_one()
    assert "427638" not in stored


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ListKind.CUSTOMER, "c-1"),
        (ListKind.CUSTOMER, "st_1:c-1"),
        (ListKind.IP, "203.0.113.0/24"),
        (ListKind.NETWORK, "203.0.113.7/24"),
        (ListKind.EMAIL_DOMAIN, " "),
    ],
)
def test_an_entry_that_names_nobody_is_refused(store_id: uuid.UUID, kind: ListKind, value: str) -> None:
    with pytest.raises(ValidationFailed):
        add_entry(ListName.BLOCK, kind, value)


@pytest.mark.parametrize("reason", ["", " \u00a0 ", "x" * 501, "a\u202eb"])
def test_an_entry_has_a_reason_that_can_be_read(store_id: uuid.UUID, reason: str) -> None:
    with pytest.raises(ValidationFailed), transaction():
        rule_changes.add_entry(ListName.BLOCK, ListKind.IP, "203.0.113.7", reason, ADMIN)


def test_a_rule_begins_switched_off_and_counts_its_versions(store_id: uuid.UUID) -> None:
    with transaction():
        rule = rule_changes.add_rule("many", MANY, RiskAction.DENY, ADMIN)
        assert rule.mode == "off"
    for mode, version in ((RuleMode.SHADOW, 2), (RuleMode.SHADOW, 2), (RuleMode.ON, 3)):
        with transaction():
            rule_changes.set_mode("many", mode, ADMIN)
        db.session.expire_all()
        assert get_rule("many").version == version
    with pytest.raises(Conflict), transaction():
        rule_changes.add_rule("many", MANY, RiskAction.DENY, ADMIN)
    with pytest.raises(NotFound), transaction():
        rule_changes.set_mode("no such rule", RuleMode.ON, ADMIN)


def test_the_database_keeps_decisions_as_they_were_made(facts: Facts) -> None:
    add_rule("roubles", ALWAYS, RiskAction.DENY)
    order = facts()
    with transaction():
        record_decision(order.order_id, decide(order))
    for statement in ("UPDATE risk_decision SET decision = 'allow'", "DELETE FROM risk_decision"):
        with pytest.raises(DBAPIError) as refused, transaction():
            db.session.execute(text(f"{statement} WHERE order_id = :id"), {"id": order.order_id})
        assert isinstance(refused.value.orig, InsufficientPrivilege)
    with pytest.raises(IntegrityError), transaction():
        db.session.execute(text("UPDATE risk_rule SET conditions = '[]'"))


def test_a_rule_is_tried_on_the_past_as_it_was_then(past: Past, address: str) -> None:
    for minutes_ago, status in ((30, "completed"), (20, "completed"), (10, "expired"), (5, "completed")):
        past(minutes_ago, customer_ref="c-1", status=status, customer_ip=address)
    newest = past(3, customer_ref="c-1", status="expired", customer_ip=address)
    past(60 * 24 * 31, customer_ref="c-1", customer_ip=address)
    past(3, customer_ref="c-1", mode="test", customer_ip=address)
    here = {"fact": "ip", "op": "in_network", "value": [f"{address}/32"]}
    judged: list[int] = []
    trial = try_rule(read_conditions([here, *MANY]), judged.append)
    fired = [order_id for order_id in trial.sample if order_id == newest]
    assert fired == [newest], "newest first"
    assert trial.fired_by_status == {"expired": 2, "completed": 1}, "the first two had not two before them"
    assert (trial.fired, trial.is_cut, trial.unknown_facts) == (3, False, ())
    assert sum(judged) == trial.looked_at >= 5
    unknown = try_rule(read_conditions([{"fact": "email_domain", "op": "eq", "value": "example.com"}]))
    assert (unknown.fired, unknown.unknown_facts) == (0, ("email_domain",))


def test_a_fact_is_asked_for_once_however_many_rules_use_it(facts: Facts) -> None:
    book = FactBook(facts(customer_ref="c-1"))
    with patch("portal.risk.facts.hot", return_value=[{"orders": 1, "amount": 5, "completed": 0}]) as asked:
        for name in ("customer_orders", "customer_amount", "customer_completed", "customer_orders"):
            book.value(name, 60)
    assert asked.call_count == 1
