"""The rules of rows as the models tell them are those that the database keeps, one by one or as one function."""

from __future__ import annotations

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Table

from portal.core.db import Base, hot, transaction
from portal.core.schema.row_rules import function_of, has_one_check, rules_of
from tests.scene import build_scene

TABLES = sorted(Base.metadata.tables.values(), key=lambda table: table.name)
RULED = [table for table in TABLES if has_one_check(table)]
# What of a good row changes to break each rule, and no rule before it.
BROKEN = {
    "ck_ledger_account_derived_balance": "keeps_balance = false",
    "ck_ledger_account_floor": "floor = balance + 1",
    "ck_ledger_account_kind": "kind = 'pocket'",
    "ck_ledger_account_mode": "mode = 'both'",
    "ck_ledger_account_owner": "owner_id = null",
    "ck_ledger_account_owner_kind": "owner_kind = 'nobody'",
    "ck_ledger_entry_actor_kind": "actor_kind = 'nobody'",
    "ck_ledger_entry_kind": "kind = 'gift'",
    "ck_ledger_entry_mode": "mode = 'both'",
    "ck_ledger_entry_reason": "kind = 'adjustment', reason = null",
    "ck_ledger_entry_reversal": "reverses_entry_id = 1",
    "ck_ledger_entry_subject_kind": "subject_kind = 'nothing'",
    "ck_orders_amount": "amount_minor = 0",
    "ck_orders_amount_received": "amount_received_minor = 0",
    "ck_orders_amount_reported": "amount_reported_minor = -1",
    "ck_orders_assigned": "requisite_id = null",
    "ck_orders_direction": "direction = 'sideways'",
    "ck_orders_final": "status = 'cancelled'",
    "ck_orders_hold": "hold_minor = -1",
    "ck_orders_mode": "mode = 'both'",
    "ck_orders_settlement": "rate_micros = 0",
    "ck_orders_status": "status = 'lost'",
    "ck_requisite_amounts": "max_amount = min_amount - 1",
    "ck_requisite_counters": "day_count = -1",
    "ck_requisite_max_open_orders": "max_open_orders = 0",
    "ck_requisite_mode": "mode = 'both'",
    "ck_requisite_status": "status = 'lent'",
    "ck_requisite_tier": "tier = 10",
    "ck_requisite_two_people": "decided_by = '00000000-0000-7000-8000-000000000001', submitted_by = '00000000-0000-7000-8000-000000000001'",
    "ck_requisite_weight": "weight = 0",
    "ck_requisite_window": "window_s = 60, window_amount_limit = null",
}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_rule_of_a_model_is_a_check_of_the_database(app: Flask, table: Table) -> None:
    with transaction():
        found = hot(
            "SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint"
            " WHERE contype = 'c' AND conrelid = %(table)s::regclass AND convalidated",
            {"table": table.name},
        )
        if not has_one_check(table):
            assert {row["name"] for row in found} == set(rules_of(table))
            return
        assert [(row["name"], row["definition"]) for row in found] == [
            (f"ck_{table.name}_row", f"CHECK ({table.name}_holds({table.name}.*))")
        ]
        kept = hot("SELECT prosrc FROM pg_proc WHERE proname = %(name)s", {"name": f"{table.name}_holds"})
    assert function_of(table).split("$$")[1] == kept[0]["prosrc"]


def test_each_rule_of_a_function_has_an_example() -> None:
    assert sorted(name for table in RULED for name in rules_of(table)) == sorted(BROKEN)


@pytest.mark.parametrize("rule", sorted(BROKEN))
def test_a_row_that_breaks_a_rule_is_refused_in_the_name_of_the_rule(app: Flask, rule: str) -> None:
    with transaction():
        scene = build_scene()
    scene.requisite(scene.trader())
    scene.payin(500_000)
    table = next(table.name for table in RULED if rule in rules_of(table))
    changes = ", ".join(
        f"'{column}', {value}"
        for column, value in (part.split(" = ", 1) for part in BROKEN[rule].split(", "))
    )
    own = "owner_kind = 'trader' AND balance > 0" if table == "ledger_account" else "true"
    # As the changed row would stand: what refuses changes altogether is not asked here.
    asked = f"{table}_holds(jsonb_populate_record(t, jsonb_build_object({changes})))"
    with pytest.raises(psycopg.errors.CheckViolation) as refused, transaction():
        hot(f"SELECT {asked} FROM {table} t WHERE {own} LIMIT 1")
    assert refused.value.diag.constraint_name == rule
    assert refused.value.diag.table_name == table
