"""Each privileged verb leaves an entry: what it was, what it is, by whom, and no secret."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from flask import Flask

from portal.audit.models import AuditEntry
from portal.core.actors import CUSTOMER, Actor, ActorKind, Origin
from portal.core.db import db, transaction
from portal.core.errors import Forbidden
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.identity.models import Scope
from portal.identity.profile import change_profile
from portal.identity.tokens.api_keys import issue_api_key, revoke_api_key, rotate_api_key
from portal.merchants.queries import PlanTerms
from portal.merchants.service import NewStore, create_merchant, create_store, save_fee_plan, set_traffic_rule
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import cancel_order
from portal.reference import setting_changes
from portal.reference.service import PairTerms, change_terms, set_rate, use_feed, use_manual
from portal.risk.models import ListKind, ListName, RiskAction, RuleMode
from portal.risk.rule_changes import add_entry, add_rule, remove_entry, set_mode
from portal.traders.seeding import add_approved_requisite
from portal.traders.service import (
    NewRequisite,
    add_requisite,
    block_trader,
    create_trader,
    set_team_switches,
    set_working,
)
from portal.traders.teams import open_team
from portal.webhooks import service as webhooks
from tests.scene import Scene, build_scene, card_number

SOMEBODY = Actor(ActorKind.ADMIN, new_id(), origin=Origin("203.0.113.7", "Firefox", "request-1", new_id()))


@pytest.fixture
def scene(app: Flask) -> Scene:
    with transaction():
        return build_scene()


def entries() -> list[AuditEntry]:
    query = db.select(AuditEntry).where(AuditEntry.actor_id == SOMEBODY.id).order_by(AuditEntry.id)
    return list(db.session.scalars(query))


def only() -> AuditEntry:
    (entry,) = entries()
    assert (str(entry.ip), entry.request_id) == ("203.0.113.7", "request-1")
    return entry


def told(entry: AuditEntry) -> tuple[str, Any, Any]:
    return entry.action, entry.before, entry.after


def test_a_setting(app: Flask) -> None:
    with transaction():
        setting_changes.set_value("pay_window_s", 600, SOMEBODY)
    assert told(only()) == ("setting.changed", {"value": 900}, {"value": 600})
    with transaction():
        setting_changes.reset("pay_window_s", SOMEBODY)
    assert told(entries()[1]) == ("setting.changed", {"value": 600}, {"value": 900})


def test_a_rate_and_its_terms(scene: Scene) -> None:
    with transaction():
        set_rate("USDT", "RUB", 96_000_000, SOMEBODY)
        change_terms("USDT", "RUB", PairTerms(spread_bps=120), SOMEBODY)
        use_feed("USDT", "RUB", "https://rates.example.com/v1?key=hush", "/RUB", SOMEBODY)
        use_manual("USDT", "RUB", SOMEBODY)
    rate, terms, feed, manual = entries()
    assert told(rate) == (
        "rate.set",
        {"raw_micros": 95_000_000},
        {"raw_micros": 96_000_000, "forced": False},
    )
    assert (terms.action, terms.after) == ("rate.terms_changed", {"spread_bps": 120})
    assert feed.after == {"source": "http_json", "host": "rates.example.com"}
    assert "hush" not in json.dumps([feed.before, feed.after, manual.before])


def test_an_api_key_from_its_issue_to_its_end(scene: Scene) -> None:
    with transaction():
        key, secret = issue_api_key(scene.store_id, Mode.LIVE, "Till", [Scope.ORDERS_READ], actor=SOMEBODY)
        other, other_secret = rotate_api_key(scene.store_id, key.id, actor=SOMEBODY)
        revoke_api_key(scene.store_id, other.id, actor=SOMEBODY)
        revoke_api_key(scene.store_id, other.id, actor=SOMEBODY)
    written = entries()
    assert [entry.action for entry in written] == [
        "api_key.issued",
        "api_key.issued",
        "api_key.rotated",
        "api_key.revoked",
    ]
    assert written[0].after is not None
    assert written[0].after["scopes"] == ["orders:read"]
    assert written[0].after["last4"] == secret[-4:]
    everything = json.dumps([[entry.before, entry.after] for entry in written])
    assert secret not in everything
    assert other_secret not in everything


def test_a_webhook_endpoint_without_what_is_secret_in_its_address(scene: Scene) -> None:
    store = (scene.store_id, Mode.LIVE)
    with transaction():
        first = webhooks.EndpointUrl("https://shop.example/hooks?auth=hush")
        endpoint, secret = webhooks.set_endpoint(*store, first, actor=SOMEBODY)
        webhooks.set_endpoint(*store, webhooks.EndpointUrl("https://evil.example/"), actor=SOMEBODY)
        _, rotated = webhooks.rotate_secret(*store, actor=SOMEBODY)
        webhooks.disable_endpoint(endpoint, actor=SOMEBODY)
        webhooks.enable_endpoint(endpoint, actor=SOMEBODY)
        webhooks.delete_endpoint(endpoint, actor=SOMEBODY)
    written = entries()
    assert [entry.action.partition(".")[2] for entry in written] == [
        "created",
        "changed",
        "secret_rotated",
        "disabled",
        "enabled",
        "deleted",
    ]
    changed = written[1]
    assert changed.before is not None
    assert changed.after is not None
    assert (changed.before["host"], changed.after["host"]) == ("shop.example", "evil.example")
    everything = json.dumps([[entry.before, entry.after] for entry in written])
    for hidden in (secret, rotated, "hush"):
        assert str(hidden) not in everything


def test_risk_rules_and_lists(scene: Scene) -> None:
    conditions = [{"fact": "amount", "op": "gt", "value": "5000"}]
    with transaction():
        add_rule("Big", conditions, RiskAction.REVIEW, SOMEBODY)
        set_mode("Big", RuleMode.ON, SOMEBODY)
        set_mode("Big", RuleMode.ON, SOMEBODY)
        add_entry(ListName.BLOCK, ListKind.REQUISITE_NUMBER, "4111111111111111", "Stolen", SOMEBODY)
        remove_entry(ListName.BLOCK, ListKind.REQUISITE_NUMBER, "4111111111111111", SOMEBODY)
    added, switched, blocked, freed = entries()
    assert added.subject_id == "Big"
    assert told(switched) == ("risk_rule.switched", {"mode": "off"}, {"mode": "on"})
    assert (blocked.action, blocked.reason) == ("risk_list.added", "Stolen")
    assert freed.action == "risk_list.removed"
    assert "4111111111111111" not in json.dumps([blocked.after, freed.after])


def test_traders_and_teams(scene: Scene) -> None:
    trader = scene.trader()
    with transaction():
        set_working(trader.id, False, actor=SOMEBODY)
        set_working(trader.id, False, actor=SOMEBODY)
        block_trader(trader.id, "Late again", actor=SOMEBODY)
        set_team_switches(scene.team_id, payin_on=False, payout_on=True, actor=SOMEBODY)
    working, blocked, team = entries()
    assert told(working) == ("trader.changed", {"is_working": True}, {"is_working": False})
    assert blocked.after == {"is_blocked": True, "blocked_reason": "Late again"}
    assert told(team) == ("team.switched", {"payin_on": True}, {"payin_on": False})


@pytest.mark.proves("tried A8")
def test_a_merchant_a_store_its_fees_and_its_traffic(scene: Scene) -> None:
    trader = scene.trader()
    plan, dearer = PlanTerms(300, 0, 100, 50), PlanTerms(350, 0, 100, 50)
    with transaction():
        merchant = create_merchant("Bolt", [scene.lead_id], actor=SOMEBODY)
        store = create_store(
            merchant.id, NewStore("Bolt shop", plans=[("payin", None, plan)]), actor=SOMEBODY
        )
        for _ in range(2):
            save_fee_plan(store.id, "payin", None, dearer, actor=SOMEBODY)
            set_traffic_rule(store.id, trader.id, "split", 40, actor=SOMEBODY)
        for _ in range(2):
            set_traffic_rule(store.id, trader.id, None, actor=SOMEBODY)
    opened, shop, first, second, ruled, freed = entries()
    assert (opened.action, opened.subject_id) == ("merchant.opened", str(merchant.id))
    assert opened.after == {"name": "Bolt", "members": [str(scene.lead_id)]}
    assert (shop.action, shop.after["merchant"]) == ("store.opened", str(merchant.id))
    assert (shop.after["name"], shop.after["settlement_currency"]) == ("Bolt shop", "USDT")
    assert {entry.subject_id for entry in (shop, first, second, ruled, freed)} == {str(store.id)}
    assert (first.action, first.before) == ("store.fee_plan_set", None)
    assert (first.after["store_fee_bps"], first.after["trader_commission_bps"]) == (300, 100)
    of = {"direction": "payin", "method": None}
    assert told(second) == (
        "store.fee_plan_set", {"store_fee_bps": 300}, of | {"store_fee_bps": 350}
    )  # fmt: skip
    rule = {"rule": "split", "percent": 40}
    none = {"rule": None, "percent": None}
    assert told(ruled) == ("store.traffic_rule_set", none, {"trader": str(trader.id)} | rule)
    assert told(freed) == ("store.traffic_rule_set", rule, {"trader": str(trader.id)} | none)


@pytest.mark.proves("tried A8")
def test_a_trader_their_requisites_and_a_team(scene: Scene) -> None:
    number = card_number()
    new = NewRequisite("card", "RUB", number, "TARA P.", "sber", 100_00, 1_000_00)
    with transaction():
        team = open_team("Night shift", scene.lead_id, actor=SOMEBODY)
        trader = create_trader("Tara", team_id=team.id, actor=SOMEBODY)
        requisite = add_requisite(trader.id, new, actor=SOMEBODY)
        for _ in range(2):
            set_team_switches(team.id, payin_on=False, payout_on=True, actor=SOMEBODY)
    formed, opened, added, switched = entries()
    assert told(formed) == ("team.opened", None, {"name": "Night shift", "lead": str(scene.lead_id)})
    assert (opened.action, opened.subject_id) == ("trader.opened", str(trader.id))
    assert opened.after == {
        "name": "Tara", "user": None, "team": str(team.id), "mode": "live", "currency": "USDT"
    }  # fmt: skip
    assert (added.action, added.subject_id) == ("requisite.added", str(requisite.id))
    assert added.after == {"method": "card", "currency": "RUB", "bank": "sber", "number": f"***{number[-4:]}"}
    assert told(switched) == ("team.switched", {"payin_on": True}, {"payin_on": False})


@pytest.mark.proves("tried A8")
def test_what_is_seeded_leaves_the_entries_that_people_leave(scene: Scene) -> None:
    ops = Actor(ActorKind.OPS)
    new = NewRequisite("card", "RUB", card_number(), "TARA P.", "sber", 100_00, 1_000_00)
    trader = scene.trader()
    with transaction():
        requisite = add_approved_requisite(trader.id, new, actor=ops)
    query = db.select(AuditEntry).where(AuditEntry.subject_id == str(requisite.id)).order_by(AuditEntry.id)
    added, approved, switched = db.session.scalars(query)
    assert {entry.actor_kind for entry in (added, approved, switched)} == {"ops"}
    assert added.action == "requisite.added"
    assert told(approved) == ("requisite.approved", {"status": "pending"}, {"status": "approved"})
    assert (switched.action, switched.after) == ("requisite.switched", {"payin_on": True, "payout_on": True})


def test_nobody_unknown_approves_a_requisite(scene: Scene) -> None:
    new = NewRequisite("card", "RUB", card_number(), "TARA P.", "sber", 100_00, 1_000_00)
    trader = scene.trader()
    with pytest.raises(Forbidden), transaction():
        add_approved_requisite(trader.id, new, actor=CUSTOMER)


@pytest.mark.proves("tried A8")
def test_the_name_by_which_others_know_somebody(scene: Scene) -> None:
    for _ in range(2):
        with transaction():
            change_profile(scene.lead_id, name="Lena the second", locale="en", actor=SOMEBODY)
    entry = only()
    assert told(entry) == ("user.profile_changed", {"name": "Lena"}, {"name": "Lena the second"})
    assert entry.subject_id == str(scene.lead_id)


def of_order(order: OrderRecord) -> list[tuple[str, Any, Any, str | None]]:
    query = db.select(AuditEntry).where(AuditEntry.subject_id == str(order.id)).order_by(AuditEntry.id)
    return [(*told(entry), entry.reason) for entry in db.session.scalars(query)]


def test_what_staff_do_to_an_order_and_not_what_programs_do_to_their_own(scene: Scene) -> None:
    order = scene.payin()
    with transaction():
        cancel_order(get_order(order.id, lock=True), "The shop asked", actor=SOMEBODY)
    entry = only()
    assert (entry.action, entry.subject_id) == ("order.cancelled", str(order.id))
    assert (entry.before, entry.after) == ({"status": "matching"}, {"status": "cancelled"})
    own = scene.payin()
    with transaction():
        cancel_order(get_order(own.id, lock=True), "Changed my mind", actor=scene.merchant)
    assert of_order(own) == []


@pytest.mark.parametrize("session_id", [new_id(), None])
def test_what_a_merchant_does_to_an_order_by_hand_and_not_by_a_program(
    scene: Scene, session_id: uuid.UUID | None
) -> None:
    mia = Actor(ActorKind.MERCHANT, new_id(), origin=Origin("203.0.113.7", session_id=session_id))
    scene.requisite(scene.trader())
    mistaken, disputed = scene.payin(), scene.payin(1600_00)
    with transaction():
        cancel_order(get_order(mistaken.id, lock=True), "They asked", actor=mia)
        open_dispute(get_order(disputed.id, lock=True), DisputeReason.OTHER, "It is another", None, actor=mia)
    waiting = {"status": "awaiting_payment"}
    assert of_order(mistaken) == (
        [("order.cancelled", waiting, {"status": "cancelled"}, "They asked")] if session_id else []
    )
    assert of_order(disputed) == (
        [("order.disputed", waiting, {"status": "disputed"}, "It is another")] if session_id else []
    )


def test_what_staff_say_to_a_dispute_in_their_own_words(scene: Scene) -> None:
    scene.requisite(scene.trader())
    worded, bare = scene.payin(), scene.payin(1600_00)
    with transaction():
        for order, words in ((worded, "The statement says so"), (bare, None)):
            locked = get_order(order.id, lock=True)
            open_dispute(locked, DisputeReason.DUPLICATE, words, None, actor=SOMEBODY)
    assert [of_order(order)[0][3] for order in (worded, bare)] == ["The statement says so", "duplicate"]
