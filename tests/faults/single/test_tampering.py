"""Rows changed by a hand that goes past the house, and a house that is set back by some minutes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from pydantic import SecretStr

from portal import create_app
from portal.audit.heads import find_head
from portal.audit.integrity import verify_chain
from portal.audit.sealing import seal_waiting
from portal.audit.service import record_audit
from portal.core.actors import SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.modes import Mode
from portal.events.relay import relay_events
from portal.identity.models import Role
from portal.orders.integrity.proof import prove_ledger_when_due, verify_everything
from portal.orders.models import Status
from portal.orders.queries import get_order
from portal.orders.service import confirm_payin
from portal.orders.service.deadlines import act_on_due_orders
from portal.orders.service.silences import beat
from portal.settings import get_settings
from portal.webhooks.body import event_body
from portal.webhooks.fanout import create_deliveries
from portal.webhooks.service import EndpointUrl, set_endpoint
from tests.conftest import forget_what_is_held
from tests.faults.invariants import broken
from tests.faults.single.conftest import EDITED, Site
from tests.ops.test_backup import flask
from tests.scene import as_trader
from tests.servers import database_url_of, drop_databases
from tests.web.desk import new_user, path_of

# What a superuser writes past every trigger, what puts it back, and which check finds it.
_BALANCE = (
    "UPDATE ledger_account SET balance = balance {} WHERE id = (SELECT max(id) FROM ledger_account"
    " WHERE owner_kind = 'trader' AND kind = 'available')"
)
EDITS = {
    "a posting": (
        "UPDATE ledger_posting SET amount = amount + 100 WHERE id = (SELECT max(id) FROM ledger_posting)",
        "UPDATE ledger_posting SET amount = amount - 100 WHERE id = (SELECT max(id) FROM ledger_posting)",
        "every entry sums to zero in every currency",
    ),
    "a balance": (
        _BALANCE.format("+ 100"), _BALANCE.format("- 100"),
        "every running balance equals the sum of its postings",
    ),
    "both sides of an entry": (
        "UPDATE ledger_posting SET amount = amount * 2 WHERE entry_id = (SELECT max(id) FROM ledger_entry)",
        "UPDATE ledger_posting SET amount = amount / 2 WHERE entry_id = (SELECT max(id) FROM ledger_entry)",
        "every running balance equals the sum of its postings",
    ),
    "an order that is said to be completed": (
        "UPDATE orders SET status = 'completed', hold_minor = 0, due_at = NULL WHERE id = {order}",
        "UPDATE orders SET status = 'awaiting_payment', hold_minor = settlement_minor, due_at = pay_by WHERE id = {order}",
        "a completed order has one completion, any other order none",
    ),
}  # fmt: skip


@contextmanager
def edited(site: Site, there: str, back: str) -> Iterator[None]:
    """The rows are changed while this lasts, by somebody whom no trigger stops."""

    EDITED.add(site.url)

    def write(text: str) -> None:
        with site.connection() as connection, connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(text.encode())

    write(there)
    try:
        yield
    finally:
        write(back)


@pytest.mark.proves("F33")
@pytest.mark.parametrize("what", EDITS)
def test_the_next_proof_finds_what_a_hand_has_changed_and_tells_of_it(site: Site, what: str) -> None:
    order = site.desk.payin()
    admin = new_user(Role.ADMIN)
    there, back, check = (text.format(order=f"'{order.id}'") for text in EDITS[what])
    site.sql("DELETE FROM proof_run")
    site.sql("DELETE FROM notification")
    with site.app.app_context():
        assert prove_ledger_when_due() == 1
        assert site.sql("SELECT broken FROM proof_run ORDER BY id") == [(0,)]
    with edited(site, there, back), site.app.app_context():
        site.sql("UPDATE proof_run SET at = at - interval '25 hours'")
        assert prove_ledger_when_due() == 1
        ((_, findings),) = site.sql("SELECT broken, findings FROM proof_run ORDER BY id DESC LIMIT 1")
        assert check in {found["check"] for found in findings}
        told = site.sql("SELECT kind FROM notification WHERE user_id = %s", admin.id)
        assert told == [("ledger_broken",)]
        by_hand = site.app.test_cli_runner().invoke(args=["ledger", "verify"])
        assert by_hand.exit_code == 1
        assert f"BROKEN  {check}" in by_hand.output
    with site.app.app_context():
        assert verify_everything() == []


@pytest.mark.proves("F33")
def test_a_changed_entry_of_the_audit_log_breaks_the_chain(site: Site) -> None:
    with transaction():
        record_audit("test.done", actor=SYSTEM, reason="as it was")
    with transaction():
        seal_waiting()
    last = "(SELECT max(entry_id) FROM audit_seal)"
    there = f"UPDATE audit_entry SET reason = 'as somebody wants it' WHERE id = {last}"
    with edited(site, there, f"UPDATE audit_entry SET reason = 'as it was' WHERE id = {last}"):
        assert any("is not what was sealed" in found for found in chain())
    assert chain() == ()


def chain() -> tuple[str, ...]:
    with transaction():
        hot("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return verify_chain().findings


@pytest.fixture
def restored_name(site: Site) -> Iterator[str]:
    name = f"{db.engine.url.database}_earlier"
    yield name
    drop_databases(site.url, name)


def _bodies(ids: list[uuid.UUID] | None = None) -> dict[uuid.UUID, bytes]:
    """Events that were or will be sent, as the shop sees them."""
    sql = "SELECT v.id AS event_id, v.type, v.mode, v.version, v.sequence, v.created_at, v.data, v.requisite_id FROM event v"
    sql += " JOIN webhook_delivery d ON d.event_id = v.id WHERE %(ids)s::uuid[] IS NULL OR v.id = ANY(%(ids)s::uuid[])"
    with transaction():
        return {row["event_id"]: event_body(row) for row in hot(sql, {"ids": ids})}


@pytest.mark.proves("F31")
@pytest.mark.faults
def test_a_house_that_is_set_back_by_ten_minutes_is_right_and_tells_nothing_differently(
    site: Site, committed_db: Flask, tmp_path: Path, restored_name: str
) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 40)
    with transaction():
        set_endpoint(site.shop.store_id, Mode.LIVE, EndpointUrl("http://127.0.0.1:9/hook"))
    order = site.desk.payin(1000_00, claimed=True)
    beat(60)
    with transaction():
        seal_waiting()
    made = flask(committed_db, "create", tmp_path / "old.backup", "--key-file", key)
    assert made.exit_code == 0, made.output
    # What is lost: a confirmation, an order, the telling of all that was pending, entries of the audit log.
    assert site.desk.browser.post(path_of(order, "confirmation")).status_code == 200
    assert site.shop.create(external_id="after the backup").status_code == 201
    while relay_events(create_deliveries):
        pass
    told = _bodies()
    with transaction():
        record_audit("test.done", actor=SYSTEM)
    with transaction():
        seal_waiting()
    with transaction():
        head = find_head()
    assert head is not None
    back = flask(
        committed_db, "restore", tmp_path / "old.backup", "--database", restored_name,
        "--uploads", tmp_path / "uploads", "--key-file", key,
    )  # fmt: skip
    assert back.exit_code == 0, back.output
    url = database_url_of(site.url, restored_name)
    _ten_minutes_ago(url)
    # A house that starts there knows nothing of another database.
    forget_what_is_held()
    restored = create_app(get_settings().model_copy(update={"database_url": SecretStr(url)}))
    with restored.app_context():
        gap = beat(60)
        assert gap is not None
        assert gap >= timedelta(minutes=10)
        assert act_on_due_orders() == 0
        with transaction():
            found = get_order(order.id, lock=True)
            assert found.status == Status.AWAITING_CONFIRMATION
            confirm_payin(found, None, actor=as_trader(site.desk.trader))
        with transaction():
            assert get_order(order.id).status == Status.COMPLETED
            assert verify_chain([head]).findings == (f"link {head.sequence} was exported and is gone",)
        while relay_events(create_deliveries):
            pass
        again = _bodies()
        db.session.remove()
        db.engine.dispose()
    forget_what_is_held()
    both = told.keys() & again.keys()
    assert len(both) >= 2, "what was told since is told again"
    assert {event: again[event] for event in both} == {event: told[event] for event in both}
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        assert [str(one) for one in broken(connection, is_copy=True)] == []
        lost = connection.execute("SELECT 1 FROM orders WHERE external_id = 'after the backup'").fetchall()
    assert lost == []


def _ten_minutes_ago(url: str) -> None:
    """Between the backup and now as much time has passed."""
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("UPDATE heartbeat SET beat_at = beat_at - interval '10 minutes'")
        connection.execute("UPDATE order_event SET at = at - interval '10 minutes'")
        connection.execute(
            "UPDATE orders SET due_at = due_at - interval '10 minutes', confirm_by = confirm_by - interval '10 minutes'"
            " WHERE due_at IS NOT NULL"
        )
