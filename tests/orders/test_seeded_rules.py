"""The rules that Nostro comes with: in shadow, once, and never over what somebody decided."""

from __future__ import annotations

from portal.core.actors import SYSTEM
from portal.core.db import transaction
from portal.orders.models import Status
from portal.risk.models import RuleMode
from portal.risk.queries import decisions_of, get_rule, list_rules
from portal.risk.rule_changes import set_mode
from portal.risk.seeding import RULES, seed_rules
from tests.scene import Customer, Scene


def test_they_watch_and_change_nothing(scene: Scene) -> None:
    with transaction():
        assert seed_rules(SYSTEM) == len(RULES)
    scene.requisite(scene.trader())
    order = scene.payin(150_000_00, customer=Customer(id="c-1"))
    assert order.status == Status.AWAITING_PAYMENT
    (decision,) = decisions_of(order.id)
    fired = {rule["name"]: rule["shadow"] for rule in decision.fired}
    assert fired["Large amount of a new customer"] is True
    assert fired["Large amount in a new store"] is True
    assert set(fired.values()) == {True}
    assert decision.errors == []


def test_a_second_time_adds_nothing_and_leaves_what_was_changed(scene: Scene) -> None:
    with transaction():
        seed_rules(SYSTEM)
        set_mode("Large amount at night", RuleMode.ON, SYSTEM)
        assert seed_rules(SYSTEM) == 0
    assert get_rule("Large amount at night").mode == "on"
    assert {rule.mode for rule in list_rules() if rule.name in RULES} == {"on", "shadow"}
