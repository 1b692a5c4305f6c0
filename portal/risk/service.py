"""Deciding about orders. Without a rule that is on and without lists it costs no query."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.core.db import db, is_worth_retrying
from portal.risk.facts import FactBook, OrderFacts
from portal.risk.models import ListName, RiskAction, RiskDecision
from portal.risk.queries import ActiveRule, Listed, rule_book
from portal.risk.rules import all_hold, as_json

log = logging.getLogger(__name__)

_SEVERITY = {RiskAction.ALLOW: 0, RiskAction.REVIEW: 1, RiskAction.DENY: 2}


@dataclass(frozen=True, slots=True)
class Decision:
    """`fired` names rules and list entries that applied (rules in shadow too), `errors` rules not judged.

    `is_recorded` is False when there was nothing to judge by: then there is nothing to keep.
    """

    action: RiskAction
    order: OrderFacts
    fired: tuple[dict[str, Any], ...] = ()
    errors: tuple[dict[str, Any], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    is_recorded: bool = True


def decide(order: OrderFacts) -> Decision:
    """Whether the order may go ahead, must wait for a person, or is refused.

    A block-list entry denies, else an allow-list entry allows, else the first rule by priority that is on
    and holds decides, else the order is allowed. A rule that cannot be judged means review at least. Runs in
    the caller's transaction; takes no locks.
    """
    book = rule_book()
    if book.is_empty:
        return Decision(RiskAction.ALLOW, order, is_recorded=False)
    entries = list(book.entries_about(order))
    if entries:
        is_blocked = any(entry.list is ListName.BLOCK for entry in entries)
        action = RiskAction.DENY if is_blocked else RiskAction.ALLOW
        return Decision(action, order, tuple(_listed(entry) for entry in entries))
    return _judge(order, book.rules)


def _judge(order: OrderFacts, rules: Sequence[ActiveRule]) -> Decision:
    facts = FactBook(order)
    fired: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    decided: RiskAction | None = None
    review_at_least = False
    for rule in rules:
        if decided is not None and not rule.is_shadow:
            continue
        holds = _holds(rule, facts, errors)
        if holds is None:
            review_at_least |= not rule.is_shadow
        elif holds:
            fired.append(_fired(rule))
            if not rule.is_shadow:
                decided = rule.action
    action = decided or RiskAction.ALLOW
    if review_at_least:
        action = max(action, RiskAction.REVIEW, key=_SEVERITY.__getitem__)
    return Decision(action, order, tuple(fired), tuple(errors), facts.used)


def _holds(rule: ActiveRule, facts: FactBook, errors: list[dict[str, Any]]) -> bool | None:
    """None when it can't be judged. A failing query is undone alone; lost races are the caller's to retry."""
    try:
        if rule.conditions is None:
            raise ValueError("the stored conditions cannot be read")
        if not any(condition.needs_query for condition in rule.conditions):
            return all_hold(rule.conditions, facts)
        with db.session.begin_nested():
            return all_hold(rule.conditions, facts)
    except Exception as error:
        if is_worth_retrying(error):
            raise
        log.exception("risk rule %s could not be judged", rule.name)
        errors.append(
            {"rule": str(rule.id), "name": rule.name, "version": rule.version, "error": type(error).__name__}
        )
        return None


def _fired(rule: ActiveRule) -> dict[str, Any]:
    return {
        "rule": str(rule.id),
        "name": rule.name,
        "version": rule.version,
        "action": rule.action.value,
        "shadow": rule.is_shadow,
        "conditions": as_json(rule.conditions or ()),
    }


def _listed(entry: Listed) -> dict[str, Any]:
    return {"list_entry": str(entry.id), "list": entry.list.value, "kind": entry.kind.value}


def record_decision(order_id: uuid.UUID, decision: Decision) -> None:
    """Keep a decision with its reasons, in the caller's transaction. Nothing asked: nothing kept."""
    if not decision.is_recorded:
        return
    db.session.add(
        RiskDecision(
            order_id=order_id,
            store_id=decision.order.store_id,
            mode=decision.order.mode,
            decision=decision.action.value,
            fired=list(decision.fired),
            errors=list(decision.errors),
            facts=decision.facts,
        )
    )
    db.session.flush()
