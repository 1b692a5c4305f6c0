"""Rules worth having, for a start: they watch, and change nothing until somebody switches them on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from portal.core.actors import Actor
from portal.core.db import db
from portal.risk.models import RiskAction, RiskRule, RuleMode
from portal.risk.rule_changes import add_rule, set_mode

_DAY = 24 * 60
_LARGE = [{"fact": "currency", "op": "eq", "value": "RUB"}, {"fact": "amount", "op": "ge", "value": "100000"}]

RULES: dict[str, list[dict[str, Any]]] = {
    "Customer leaves payins unpaid": [{"fact": "customer_unpaid_streak", "op": "ge", "value": 5}],
    "Customer orders by the minute": [{"fact": "customer_orders", "op": "ge", "value": 4, "minutes": 1}],
    "Many orders from one address": [{"fact": "ip_orders", "op": "ge", "value": 20, "minutes": 60}],
    "Many customers at one address": [{"fact": "ip_customers", "op": "ge", "value": 5, "minutes": _DAY}],
    "Large amount of a new customer": [
        *_LARGE, {"fact": "customer_completed", "op": "eq", "value": 0, "minutes": 30 * _DAY},
    ],
    "Large amount at night": [*_LARGE, {"fact": "hour", "op": "lt", "value": 6}],
    "Large amount in a new store": [*_LARGE, {"fact": "store_age_days", "op": "lt", "value": 7}],
}  # fmt: skip


def seed_rules(actor: Actor) -> int:
    """Add those that are missing, in shadow, each to set orders aside for review; how many. Needs transaction().

    A rule of the same name stays as it is, whatever became of it.
    """
    known = set(db.session.scalars(select(RiskRule.name)))
    missing = [name for name in RULES if name not in known]
    for name in missing:
        add_rule(name, RULES[name], RiskAction.REVIEW, actor)
        set_mode(name, RuleMode.SHADOW, actor)
    return len(missing)
