"""What somebody with every right in the database, but without the key, can change: item by item, and who sees it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from portal.audit import images
from portal.audit.chain_proof import prove_chains, prove_watched
from portal.audit.chain_sealing import seal_all
from portal.audit.chain_silences import prove_timeliness
from portal.audit.chains import CHAINS
from portal.audit.heads import Head, find_heads
from portal.audit.images import digest_sql
from portal.audit.integrity import verify_chain
from portal.audit.sealing import seal_waiting
from portal.audit.service import record_audit
from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.modes import Mode
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.events.relay import relay_events
from portal.identity.models import Role, Scope, User, UserRole
from portal.identity.tokens.api_keys import issue_api_key
from portal.ledger.integrity import run_checks
from portal.orders.integrity.proof import CHECKS
from portal.orders.queries import get_order
from portal.orders.service import cancel_order, claim_payin
from portal.reference import setting_changes
from portal.traders.service import NewRequisite, add_requisite
from portal.webhooks.fanout import create_deliveries
from portal.webhooks.service import EndpointUrl, set_endpoint
from tests.orders.test_settlements_recomputed import Settled, settled, shifted
from tests.rows import change
from tests.scene import card_number

__all__ = ["settled"]
WATCHED = "past the house"
# What comes so long after an endpoint's last change came after it, whatever was done to clocks.
LATER = timedelta(minutes=40)
PEOPLE = next(watched for watched in images.WATCHED if watched.table == "users")


@dataclass
class World:
    """Ids by name, and the heads of the chains as they were exported."""

    ids: dict[str, Any]
    heads: Sequence[Head]


@pytest.fixture
def world(settled: Settled) -> World:
    """Settled orders, a cancelled one, people with power, a key, an endpoint, a setting, the audit log; all sealed."""
    scene = settled.scene
    with transaction():
        endpoint, _ = set_endpoint(scene.store_id, Mode.LIVE, EndpointUrl("https://shop.example/hook"))
    seal_all()
    cancelled, disputed = scene.payin(2000_00), scene.payin(2100_00)
    with transaction():
        claim_payin(get_order(disputed.id, lock=True), None, actor=CUSTOMER)
        open_dispute(
            get_order(disputed.id, lock=True), DisputeReason.NOT_CONFIRMED, "?", 2100_00, actor=scene.support
        )
    while relay_events(create_deliveries):
        pass
    with transaction():
        cancel_order(get_order(cancelled.id, lock=True), "changed my mind", actor=scene.merchant)
        person = User(email=f"{uuid.uuid4().hex}@example.test", name="Ada", password_hash="argon")
        person.roles = [UserRole(role=Role.SUPPORT.value)]
        db.session.add(person)
        db.session.flush()
        hot(
            "INSERT INTO permission_grant (user_id, permission, reach, is_denied, reason, granted_by)"
            " VALUES (%(who)s, 'orders.view', 'all', false, 'needed', %(by)s)",
            {"who": person.id, "by": scene.lead_id},
        )
        key, _ = issue_api_key(scene.store_id, Mode.LIVE, "till", [Scope.ORDERS_READ])
        setting_changes.set_value("pay_window_s", 600, SYSTEM)
        new = NewRequisite(
            "card", "RUB", card_number(), "TARA P.", "sber", 100_00, 1_000_00, max_open_orders=3
        )
        pending = add_requisite(settled.ids["first"], new, actor=SYSTEM)
        for number in range(3):
            record_audit("thing.done", actor=SYSTEM, subject=("thing", str(number)), reason="as it was")
        mine = hot(
            "SELECT id FROM requisite WHERE trader_id = %(id)s ORDER BY id LIMIT 1",
            {"id": settled.ids["first"]},
        )
        db.session.flush()
    with transaction():
        seal_waiting()
        hot(
            "UPDATE event SET created_at = created_at + %(later)s WHERE subject_id = ANY(%(orders)s::uuid[])",
            {"later": LATER, "orders": [cancelled.id, disputed.id]},
        )
    with time_machine.travel(datetime.now(UTC) + LATER):
        seal_all()
    with transaction():
        # As some seconds later: the marks have followed.
        hot(
            "UPDATE chain_mark SET low = pg_sequence_last_value('order_event_id_seq'::regclass)::text WHERE chain = 'timeline'"
        )
        heads = find_heads()
        whose = hot(
            "SELECT (SELECT id FROM ledger_account WHERE owner_kind = 'lead') AS lead,"
            " (SELECT id FROM ledger_account WHERE owner_id = %(first)s AND kind = 'fiat') AS first,"
            " (SELECT id FROM ledger_account WHERE owner_id = %(second)s AND kind = 'fiat') AS second",
            {name: settled.ids[name] for name in ("first", "second")},
        )[0]
    ids = settled.ids | {f"{name}_account": found for name, found in whose.items()} | {
        "cancelled": cancelled.id, "person": person.id, "key": key.id, "endpoint": endpoint.id, "pending": pending.id,
        "mine": mine[0]["id"], "disputed": disputed.id,
    }  # fmt: skip
    return World(ids, heads)


def found(heads: Sequence[Head] = ()) -> str:
    """Everything that `flask ledger verify` and `flask audit verify` say, as one text."""
    with transaction():
        findings = run_checks(CHECKS) + prove_chains(CHAINS, heads)
        others = [one for one in (prove_timeliness(CHAINS), prove_watched()) if one]
        log = verify_chain(heads).findings
    lines = [f"{one.check}: {'; '.join(one.examples)}" for one in [*findings, *others]]
    return "\n".join([*lines, *log])


def test_what_was_sealed_holds(world: World) -> None:
    assert found(world.heads) == ""
    assert {head.chain for head in world.heads} == {"log", *(chain.name for chain in CHAINS)}


NOT_SEALED = "not what was sealed in link"
GONE = "and gone"
ENTRY = "(SELECT max(id) FROM ledger_entry WHERE subject_id = '{payin}')"
STEP = "order_id = '{payin}' AND event = 'confirmed'"
# The order's rate, and with it what follows from it, in the order and in the postings, as if it had always been so.
REPRICED = (
    "UPDATE orders SET rate_micros = rate_micros * 2, settlement_minor = 7894737, fee_minor = 236842 WHERE id = '{payin}'",
    "DELETE FROM ledger_posting WHERE entry_id IN (SELECT id FROM ledger_entry WHERE subject_id = '{payin}')",
)
HOT = ("ledger_entry", "ledger_posting", "order_event", "orders", "event")
LIST: dict[str, tuple[tuple[str, ...], str]] = {
    "1 USDT from store to trader in a settled order, balances carried along": (
        shifted(
            "payin", "payin_completed",
            "(SELECT id FROM ledger_account WHERE owner_kind = 'store' AND kind = 'available' AND owner_id = '{store}')",
            "(SELECT id FROM ledger_account WHERE owner_kind = 'trader' AND kind = 'available' AND owner_id = '{first}')",
            10**6,
        ), "every settlement follows",
    ),
    "who made an entry": ((f"UPDATE ledger_entry SET actor_kind = 'customer' WHERE id = {ENTRY}",), f"{NOT_SEALED}"),
    "why an entry was made": ((f"UPDATE ledger_entry SET reason = 'other' WHERE id = {ENTRY}",), NOT_SEALED),
    "when an entry was made": (
        (f"UPDATE ledger_entry SET created_at = created_at - interval '1 day' WHERE id = {ENTRY}",), NOT_SEALED,
    ),
    "a lowered floor": (("UPDATE ledger_account SET floor = -100 WHERE owner_id = '{first}' AND kind = 'held'",), "has the floor"),
    "a lead's account given to another": (
        ("UPDATE ledger_account SET owner_id = gen_random_uuid() WHERE id = {lead_account}",),
        f"ledger_account {{lead_account}}: changed {WATCHED}",
    ),
    "two accounts whose owners were swapped": (
        (
            "UPDATE ledger_account SET owner_id = '{store}' WHERE id = {first_account}",
            "UPDATE ledger_account SET owner_id = '{first}' WHERE id = {second_account}",
            "UPDATE ledger_account SET owner_id = '{second}' WHERE id = {first_account}",
        ), f"ledger_account {{second_account}}: changed {WATCHED}",
    ),
    "an account made past the house": (
        (
            ("INSERT INTO ledger_account (owner_kind, owner_id, kind, currency, mode, floor, keeps_balance)"
            " VALUES ('lead', '{first}', 'available', 'USDT', 'live', 0, true)"),
        ), f": made {WATCHED}",
    ),
    "an order's rate with matching postings": (REPRICED, NOT_SEALED),
    "an order's settlement": (("UPDATE orders SET settlement_minor = settlement_minor + 1 WHERE id = '{payin}'",), NOT_SEALED),
    "an order's fee": (("UPDATE orders SET fee_minor = fee_minor + 1 WHERE id = '{payin}'",), NOT_SEALED),
    "what was received": (("UPDATE orders SET amount_received_minor = amount_minor + 1 WHERE id = '{payin}'",), NOT_SEALED),
    "an order's store": (("UPDATE orders SET store_id = '{first}' WHERE id = '{payin}'",), NOT_SEALED),
    "a payout recipient's name": (
        ("UPDATE orders SET recipient_holder = 'SOMEBODY ELSE' WHERE id = '{payout}'",), "recipients ",
    ),
    "a payout's fee rates": (("UPDATE orders SET store_fee_bps = 1 WHERE id = '{payout}'",), NOT_SEALED),
    "a cancelled order deleted with its timeline": (
        tuple(
            f"DELETE FROM {table} WHERE {column} = '{{cancelled}}'"
            for table, column in (
                ("order_event", "order_id"), ("event", "subject_id"), ("ledger_posting", "entry_id::text"),
                ("ledger_entry", "subject_id"), ("orders", "id"),
            )
        ), GONE,
    ),
    "who did a step": ((f"UPDATE order_event SET actor_kind = 'customer', actor_id = NULL WHERE {STEP}",), NOT_SEALED),
    "why a step was done": ((f"UPDATE order_event SET reason = 'other' WHERE {STEP}",), NOT_SEALED),
    "when a step was done": ((f"UPDATE order_event SET at = at - interval '1 h' WHERE {STEP}",), NOT_SEALED),
    "what an event says": (
        ("UPDATE event SET data = jsonb_set(data, '{{amount}}', '\"1.00\"') WHERE subject_id = '{payin}'",), "outbox ",
    ),
    "a deleted event of a match": (("DELETE FROM event WHERE subject_id = '{payin}' AND type = 'order.matched'",), GONE),
    "a deleted event of a claim": (("DELETE FROM event WHERE subject_id = '{payin}' AND type = 'order.claimed'",), GONE),
    "a requisite's holder": (("UPDATE requisite SET holder = 'SOMEBODY' WHERE id = '{mine}'",), f"{{mine}}: changed {WATCHED}"),
    "a requisite's mask": (("UPDATE requisite SET number_masked = '1' WHERE id = '{mine}'",), f"{{mine}}: changed {WATCHED}"),
    "a requisite with another's ciphertext": (
        (
            ("UPDATE requisite SET number_encrypted = (SELECT number_encrypted FROM requisite WHERE id = '{pending}')"
            " WHERE id = '{mine}'"),
        ), f"{{mine}}: changed {WATCHED}",
    ),
    "a pending requisite made approved": (
        ("UPDATE requisite SET status = 'approved' WHERE id = '{pending}'",), f"{{pending}}: changed {WATCHED}",
    ),
    "a requisite handed to another trader": (
        ("UPDATE requisite SET trader_id = '{second}' WHERE id = '{pending}'",), f"{{pending}}: changed {WATCHED}",
    ),
    "a requisite's limit": (("UPDATE requisite SET max_amount = 10 ^ 9 WHERE id = '{mine}'",), f"{{mine}}: changed {WATCHED}"),
    "a role of an administrator": (
        ("INSERT INTO user_role (user_id, role) VALUES ('{person}', 'admin')",), f"{{person}}/admin: made {WATCHED}",
    ),
    "a role taken away": (("DELETE FROM user_role WHERE user_id = '{person}'",), "{person}/support: gone"),
    "a grant": (
        (
            ("INSERT INTO permission_grant (user_id, permission, reach, is_denied, reason, granted_by)"
            " SELECT '{person}', 'orders.confirm', 'all', false, 'x', lead_id FROM team LIMIT 1"),
        ), f"{{person}}/orders.confirm: made {WATCHED}",
    ),
    "a grant's reach": (
        ("UPDATE permission_grant SET reason = 'other' WHERE user_id = '{person}'",), f"orders.view: changed {WATCHED}",
    ),
    "a key's scopes": (("UPDATE api_key SET scopes = array['orders:write'] WHERE id = '{key}'",), f"{{key}}: changed {WATCHED}"),
    "a key's networks": (
        ("UPDATE api_key SET allowed_networks = array['0.0.0.0/0'::cidr] WHERE id = '{key}'",), f"{{key}}: changed {WATCHED}",
    ),
    "a key's hash": (("UPDATE api_key SET secret_hash = sha256('x') WHERE id = '{key}'",), f"{{key}}: changed {WATCHED}"),
    "a password": (("UPDATE users SET password_hash = 'mine' WHERE id = '{person}'",), f"{{person}}: changed {WATCHED}"),
    "a webhook's address": (
        ("UPDATE webhook_endpoint SET url = 'https://evil.example' WHERE id = '{endpoint}'",), f"{{endpoint}}: changed {WATCHED}",
    ),
    "a webhook's secret": (
        ("UPDATE webhook_endpoint SET secret_encrypted = 'x' WHERE id = '{endpoint}'",), f"{{endpoint}}: changed {WATCHED}",
    ),
    "a fee plan": (("UPDATE fee_plan SET trader_commission_bps = 101 WHERE store_id = '{store}'",), f"changed {WATCHED}"),
    "a store": (("UPDATE store SET return_origins = array['https://evil.example'] WHERE id = '{store}'",), "{store}: changed"),
    "a setting": (("UPDATE config_setting SET value = '1' WHERE key = 'pay_window_s'",), f"pay_window_s: changed {WATCHED}"),
    "a receipt's file": (("UPDATE receipt SET file_key = 'other' WHERE order_id = '{payout}'",), f"changed {WATCHED}"),
    "a receipt's hash": (("UPDATE receipt SET sha256 = sha256('x') WHERE order_id = '{payout}'",), f"changed {WATCHED}"),
    "a receipt's picture": (("UPDATE receipt SET picture_key = 'other' WHERE order_id = '{payout}'",), f"changed {WATCHED}"),
    "a receipt that is blank": (("UPDATE receipt SET is_blank = NOT is_blank WHERE order_id = '{payout}'",), f"changed {WATCHED}"),
    "a receipt's pages": (("UPDATE receipt SET pages = 7, width = 1, height = 1 WHERE order_id = '{payout}'",), f"changed {WATCHED}"),
    "a store's tolerance": (
        ("UPDATE store SET tolerance_bps = 10000, tolerance_minor = 10 ^ 9 WHERE id = '{store}'",), f"{{store}}: changed {WATCHED}",
    ),
    "a webhook's proof of its address": (
        ("UPDATE webhook_endpoint SET verified_at = '2020-01-01' WHERE id = '{endpoint}'",), f"{{endpoint}}: changed {WATCHED}",
    ),
    "a requisite's switch": (("UPDATE requisite SET payin_on = NOT payin_on WHERE id = '{mine}'",), f"{{mine}}: changed {WATCHED}"),
    "a trader's work": (("UPDATE trader SET is_working = NOT is_working WHERE id = '{first}'",), f"{{first}}: changed {WATCHED}"),
    "a dispute's words": (("UPDATE dispute SET words = 'other' WHERE order_id = '{disputed}'",), f"changed {WATCHED}"),
    "a dispute's claim": (("UPDATE dispute SET claimed_minor = 1 WHERE order_id = '{disputed}'",), f"changed {WATCHED}"),
    "what a trader is said to have reported": (
        ("UPDATE orders SET amount_reported_minor = 1 WHERE id = '{payin}'",), f"orders {{payin}}: made {WATCHED}",
    ),
    "a reported amount that was answered": (
        ("UPDATE orders SET amount_reported_minor = 2 WHERE id = '{other}'",), "orders {other}: ",
    ),
    "a deposit and its record": (
        (
            "UPDATE deposit SET reference = 'nothing' WHERE id = (SELECT id FROM deposit LIMIT 1)",
        ), f"changed {WATCHED}",
    ),
    "a sealed entry of the audit log, its own chain computed anew": (
        (
            "UPDATE audit_entry SET reason = 'other' WHERE subject_id = '2' AND action = 'thing.done'",
            "DELETE FROM audit_seal",
            "INSERT INTO audit_unsealed SELECT id FROM audit_entry",
        ), "audit ",
    ),
    "the note of a change": (
        (
            "UPDATE users SET password_hash = 'mine' WHERE id = '{person}'",
            (f"UPDATE change_image SET digest = (SELECT {digest_sql(PEOPLE)} FROM users t WHERE id = '{{person}}')"
            " WHERE table_name = 'users' AND row_key = '{person}'"),
        ), "changes ",
    ),
    "a link computed anew without the key": (
        (
            "UPDATE ledger_entry SET reason = 'other' WHERE id = (SELECT min(id) FROM ledger_entry)",
            "UPDATE chain_link SET digests[1] = sha256('x'), mac = sha256('y') WHERE chain = 'ledger' AND sequence = 2",
        ), "was not sealed by who has the key",
    ),
    "where a customer is sent back to": (
        ("UPDATE orders SET return_url = 'https://evil.example' WHERE id = '{payin}'",), "order {payin}: order.matched, with other",
    ),
    "what an order is for": (("UPDATE orders SET description = 'a cow' WHERE id = '{payin}'",), "order.completed, with other terms"),
    "an order's metadata": (("UPDATE orders SET metadata = '{{\"cart\": \"1\"}}' WHERE id = '{payin}'",), ", with other terms"),
    "an order's language": (("UPDATE orders SET locale = 'de' WHERE id = '{payout}'",), "order {payout}: "),
    "the method of a completed order": (("UPDATE orders SET method = 'sbp' WHERE id = '{payin}'",), "order {payin}: "),
    "the bank of a completed order": (("UPDATE orders SET bank = 'vtb' WHERE id = '{payin}'",), "order {payin}: "),
    "why an order is what it is": (
        ("UPDATE orders SET status_reason = 'by_customer' WHERE id = '{cancelled}'",), "because of by_customer, by its last step of",
    ),
    "when an order ended": (
        ("UPDATE orders SET ended_at = ended_at - interval '1 second' WHERE id = '{payin}'",), "order {payin}: order.completed, at",
    ),
    "when an order was cancelled": (("UPDATE orders SET ended_at = NULL WHERE id = '{cancelled}'",), "{cancelled}: order.cancelled, at"),
    "that an order ended": (("UPDATE orders SET ended_at = now() WHERE id = '{disputed}'",), "{disputed} is disputed and ended at"),
    "when an order was claimed": (
        ("UPDATE orders SET claimed_at = claimed_at - interval '1 second' WHERE id = '{payout}'",), "{payout}: order.claimed, at",
    ),
    "that an order was claimed": (("UPDATE orders SET claimed_at = now() WHERE id = '{other}'",), "{other} was claimed at"),
    "who had an order before": (("DELETE FROM past_assignment WHERE order_id = '{again}'",), "{again}: requisite"),
    "that somebody had an order before": (
        (
            ("INSERT INTO past_assignment (order_id, requisite_id, trader_id, reason)"
            " VALUES ('{payout}', '{mine}', '{first}', 'busy')"),
        ), "{payout}: requisite {mine} of trader {first} had it never",
    ),
    "why somebody lost an order": (
        ("UPDATE past_assignment SET reason = 'other' WHERE order_id = '{again}'",), "or lost it otherwise",
    ),
    "deliveries that are gone": (
        ("DELETE FROM webhook_delivery WHERE event_id IN (SELECT id FROM event WHERE subject_id = '{disputed}')",),
        "(order.claimed) was handed on, and endpoint {endpoint} has no delivery",
    ),
    "an event that is said to have been handed on": (
        ("UPDATE event SET state = 'done', done_at = now() WHERE state = 'pending'",), "(order.cancelled) was handed on",
    ),
    "a delivery that is said to have arrived": (
        ("UPDATE webhook_delivery SET state = 'delivered', done_at = now() WHERE endpoint_id = '{endpoint}'",), "no attempt was answered so",
    ),
    "silences that are given back until another year": (
        (
            ("INSERT INTO heartbeat (role, given_back_until) VALUES ('clock', now() + interval '10 years')"
            " ON CONFLICT (role) DO UPDATE SET given_back_until = excluded.given_back_until"),
        ), "silences are given back until",
    ),
    "a link that is gone": (("DELETE FROM chain_link WHERE chain = 'timeline' AND sequence = 1",), "timeline"),
}  # fmt: skip


@pytest.mark.proves("tried C11")
@pytest.mark.parametrize("what", LIST)
def test_the_proof_names_what_a_superuser_has_changed(world: World, what: str) -> None:
    statements, told = LIST[what]
    db.session.commit()
    point = db.session.get_bind().begin_nested()  # type: ignore[union-attr]
    hot("SET LOCAL session_replication_role = replica")
    for statement in statements:
        change(statement.format(**world.ids))
    hot("SET LOCAL session_replication_role = origin")
    if what.startswith("a sealed entry of the audit log"):
        with transaction():
            seal_waiting()
    said = found()
    assert told.format(**world.ids) in said
    db.session.commit()
    point.rollback()
    assert found(world.heads) == ""
