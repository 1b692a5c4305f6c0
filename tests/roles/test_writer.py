"""The application connected as a role that owns nothing: it does all of its work, and can't touch what was written."""

from __future__ import annotations

import psycopg
import pytest
from flask import Flask

from portal.audit.chain_sealing import seal_all
from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.db import transaction
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, resolve_dispute
from portal.events.relay import relay_events
from portal.identity.models import Role
from portal.ledger.service import deposit
from portal.orders.integrity.proof import verify_everything
from portal.orders.models import Status
from portal.orders.queries import get_order
from portal.orders.service import accept_payout, claim_payin, claim_payout, confirm_payin, confirm_payout
from portal.table_rights import HISTORY, KEPT, ONE_COLUMN, PASSING, READ, TABLES
from portal.webhooks.fanout import create_deliveries
from portal.webhooks.leases import claim_deliveries, release_deliveries
from portal.webhooks.service import EndpointUrl, set_endpoint
from portal.workers import clock
from tests.orders.test_payout import attach_proof
from tests.roles.conftest import RolesDatabase
from tests.scene import Scene, as_trader, build_scene
from tests.web.auth.people import sign_in_fully, with_app
from tests.web.desk import Browser

DENIED = psycopg.errors.InsufficientPrivilege


def scene() -> Scene:
    with transaction():
        return build_scene()


@pytest.mark.proves("tried S21")
def test_the_writer_settles_orders_tells_stores_and_proves_all_of_it(writer_app: Flask) -> None:
    world = scene()
    trader = world.trader()
    world.requisite(trader)
    world.fund_store()
    with transaction():
        set_endpoint(world.store_id, Mode.LIVE, EndpointUrl("https://shop.example/hook"))
    payin, disputed, payout = world.payin(), world.payin(1600_00), world.payout()
    with transaction():
        claim_payin(get_order(payin.id, lock=True), None, actor=CUSTOMER)
        confirm_payin(get_order(payin.id, lock=True), None, actor=as_trader(trader))
        claim_payin(get_order(disputed.id, lock=True), None, actor=CUSTOMER)
        locked = get_order(disputed.id, lock=True)
        open_dispute(locked, DisputeReason.NOT_CONFIRMED, "?", None, actor=world.support)
    with transaction():
        resolve_dispute(
            get_order(disputed.id, lock=True), DisputeOutcome.CANCELLED, None, "decided", actor=world.support
        )
        accept_payout(trader.id, payout.id, actor=as_trader(trader))
    attach_proof(payout)
    with transaction():
        claim_payout(get_order(payout.id, lock=True), actor=as_trader(trader))
        confirm_payout(get_order(payout.id, lock=True), actor=world.merchant)
    assert [get_order(o.id).status for o in (payin, disputed, payout)] == [
        Status.COMPLETED, Status.CANCELLED, Status.COMPLETED,
    ]  # fmt: skip
    while relay_events(create_deliveries):
        pass
    with transaction():
        claims = claim_deliveries(limit=10, per_endpoint=10, failing=False, busy={})
        assert claims
        release_deliveries(claims)
    seal_all()
    assert [found.check for found in verify_everything(exported=())] == []


@pytest.mark.proves("tried S21")
def test_the_writer_signs_people_in_and_out(writer_app: Flask) -> None:
    user, secret = with_app(Role.SUPPORT)
    browser = Browser(writer_app.test_client())
    sign_in_fully(browser, user, secret)
    assert browser.get("/account/security").status_code == 200


_DUTIES = (clock.BEAT, *clock.DEADLINES, *clock.UPKEEP, *clock.PROOFS)


@pytest.mark.proves("tried S21")
@pytest.mark.parametrize("duty", _DUTIES, ids=lambda duty: duty.name)
def test_the_writer_does_every_duty_of_the_clock(writer_app: Flask, duty: clock.Duty) -> None:
    duty.act()


@pytest.mark.proves("tried S21")
@pytest.mark.parametrize(
    "command", ["retention run", "seed reference", "audit verify", "ledger verify", "doctor", "keys status"]
)
def test_the_writer_runs_the_operators_commands(writer_app: Flask, command: str) -> None:
    result = writer_app.test_cli_runner().invoke(args=command.split())
    assert result.exit_code == 0, result.output


@pytest.mark.proves("tried S21")
def test_history_takes_nothing_but_new_rows_from_the_writer(database: RolesDatabase) -> None:
    with database.connect(database.roles.writer) as connection:
        for table in sorted(HISTORY):
            column = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attidentity = ''",
                [table],
            ).fetchone()
            assert column is not None
            for change in (f"UPDATE {table} SET {column[0]} = {column[0]}", f"DELETE FROM {table}"):
                with pytest.raises(DENIED, match="permission denied"):
                    connection.execute(change)
        for table in sorted(KEPT | READ | ONE_COLUMN.keys()):
            with pytest.raises(DENIED, match="permission denied"):
                connection.execute(f"DELETE FROM {table}")


@pytest.mark.proves("tried S21")
@pytest.mark.parametrize("role", ["writer", "reader"])
def test_nobody_but_the_owner_truncates_or_changes_what_guards(database: RolesDatabase, role: str) -> None:
    changes = [f"TRUNCATE {table} CASCADE" for table in sorted(TABLES)] + [
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE SCHEMA mine",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end'",
        "ALTER TABLE ledger_posting DISABLE TRIGGER ALL",
        "DROP TRIGGER ledger_posting_apply ON ledger_posting",
        "ALTER TABLE orders DROP CONSTRAINT ck_orders_amount",
        "ALTER TABLE ledger_entry ADD COLUMN mine int",
        "DROP INDEX uq_webhook_endpoint_store_mode",
        "SET session_replication_role = replica",
        "UPDATE ledger_account SET floor = NULL",
        "UPDATE alembic_version SET version_num = '0001'",
        "SELECT setval('ledger_entry_id_seq', 1)",
        "CREATE ROLE mine",
    ]
    with database.connect(getattr(database.roles, role)) as connection:
        for change in changes:
            with pytest.raises(DENIED):
                connection.execute(change)


@pytest.mark.proves("tried S21")
def test_a_balance_moves_by_postings_alone(writer_app: Flask, database: RolesDatabase) -> None:
    world = scene()
    trader = world.trader(deposit_minor=5_000_000)
    with database.connect(database.roles.writer) as connection, pytest.raises(DENIED, match="refused"):
        connection.execute("UPDATE ledger_account SET balance = balance + 1 WHERE owner_id = %s", [trader.id])
    assert world.trader_balance(trader) == 5_000_000


@pytest.mark.proves("tried C11")
def test_an_account_is_noted_when_it_is_opened_and_not_when_it_moves(
    writer_app: Flask, database: RolesDatabase
) -> None:
    world = scene()
    trader = world.trader(deposit_minor=5_000_000)
    notes = (
        "SELECT i.at, a.created_at FROM ledger_account a"
        " JOIN change_image i ON i.table_name = 'ledger_account' AND i.row_key = a.id::text"
        " WHERE a.owner_id = %s AND a.kind = 'available' AND a.balance = %s"
    )
    with database.connect(database.roles.reader) as connection:
        opened = connection.execute(notes, [trader.id, 5_000_000]).fetchall()
        assert len(opened) == 1
        with transaction():
            deposit(
                trader.id, 1_000_000, "USDT", Mode.LIVE, subject_id=new_id(), reference="test", actor=SYSTEM
            )
        assert connection.execute(notes, [trader.id, 6_000_000]).fetchall() == opened


@pytest.mark.proves("tried S21")
def test_the_reader_reads_everything_and_changes_nothing(database: RolesDatabase) -> None:
    with database.connect(database.roles.reader) as connection:
        for table in sorted(TABLES):
            connection.execute(f"SELECT * FROM {table} LIMIT 1")
            for change in (f"INSERT INTO {table} DEFAULT VALUES", f"DELETE FROM {table}"):
                with pytest.raises(DENIED, match="permission denied"):
                    connection.execute(change)
        for table in sorted(PASSING | KEPT):
            with pytest.raises(DENIED, match="permission denied"):
                connection.execute(f"SELECT 1 FROM {table} FOR UPDATE")
