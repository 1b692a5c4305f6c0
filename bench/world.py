"""The data that both sides work on: ours made by the real verbs and set-based SQL, the floor's beside it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask

from portal.core.actors import SYSTEM
from portal.core.crypto import blind_index, encrypt
from portal.core.db import db, hot, take_time, transaction
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.identity.models import Role
from portal.identity.service import create_user
from portal.identity.tokens.api_keys import issue_api_key
from portal.ledger.service import deposit
from portal.merchants.queries import PlanTerms
from portal.merchants.service import NewStore, create_merchant, create_store
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.reference.example_numbers import example_number
from portal.reference.seeding import seed_reference
from portal.reference.service import set_rate
from portal.traders.seeding import add_approved_requisite
from portal.traders.service import (
    NewRequisite,
    create_trader,
    set_working,
    verify_trader,
)
from portal.traders.teams import open_team

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "a password of the bench only"
PLAN = PlanTerms(300, 0, 100, 50)
TRADERS = 16
STORES = 16
REQUISITES = 1000
# Enough for the copies of a million payins; no posting may be more than 10**15.
RICH = 5 * 10**14
_STAFFED = (Role.MERCHANT, Role.LEAD, Role.SUPPORT, Role.ADMIN)


@dataclass
class World:
    """What the load needs to know of ours."""

    store_ids: list[uuid.UUID]
    keys: list[str]
    traders: list[tuple[uuid.UUID, str]]
    people: dict[str, str]  # emails by role, each with PASSWORD


def migrate(env: dict[str, str]) -> None:
    flask = Path(sys.executable).with_name("flask")
    subprocess.run([str(flask), "--app", "wsgi:app", "db", "upgrade"], check=True, cwd=ROOT, env=env)


def build(app: Flask) -> World:
    """Stores with keys, traders who can sign in, and requisites that are all free."""
    with app.app_context():
        with transaction():
            seed_reference()
        with transaction():
            set_rate("USDT", "RUB", 95_000_000, SYSTEM, force=True)
            for setting in config.REGISTRY.values():
                # Nobody is refused here: what is measured is the way of those who are let through.
                is_limit = setting.key.endswith("_per_minute") or setting.key.startswith(
                    ("sign_in_attempts", "exposure_")
                )
                if is_limit and setting.maximum is not None:
                    setting_changes.set_value(setting.key, setting.maximum, SYSTEM)
        with transaction():
            people = {
                role: create_user(f"{role.value}@bench.example", role.value, PASSWORD, [role])
                for role in _STAFFED
            }
            team = open_team("Bench", people[Role.LEAD].id, actor=SYSTEM)
            merchant = create_merchant("Bench", [people[Role.MERCHANT].id], actor=SYSTEM)
            plans = [("payin", None, PLAN), ("payout", None, PLAN)]
            stores = [
                create_store(merchant.id, NewStore(f"Store {n}", plans=plans), actor=SYSTEM)
                for n in range(STORES)
            ]
            keys = [issue_api_key(store.id, Mode.LIVE, "bench")[1] for store in stores]
        traders = [_trader(team.id, n) for n in range(TRADERS)]
        more_requisites(REQUISITES - TRADERS)
        emails = {role.value: user.email for role, user in people.items()} | {"trader": traders[0][1]}
        return World([store.id for store in stores], keys, traders, emails)


def _trader(team_id: uuid.UUID, n: int) -> tuple[uuid.UUID, str]:
    email = f"trader{n}@bench.example"
    with transaction():
        user = create_user(email, f"Trader {n}", PASSWORD, [Role.TRADER])
        trader = create_trader(f"Trader {n}", user_id=user.id, team_id=team_id, actor=SYSTEM)
        verify_trader(trader.id)
        set_working(trader.id, True)
        deposit(trader.id, RICH, "USDT", Mode.LIVE, subject_id=new_id(), reference="bench", actor=SYSTEM)
        new = NewRequisite(
            "card",
            "RUB",
            example_number("card", "RUB", n),
            "BENCH",
            "sber",
            100_00,
            600_000_00,
            max_open_orders=1000,
        )
        add_approved_requisite(trader.id, new)
        return trader.id, email


_COPIED = (
    "trader_id", "mode", "method", "currency", "bank", "number_masked", "number_last4", "holder", "status",
    "payin_on", "payout_on", "trader_payin_on", "trader_payout_on", "available_account_id", "held_account_id",
    "min_amount", "max_amount", "max_open_orders",
)  # fmt: skip
_COPIES = f"""
INSERT INTO requisite (id, number_encrypted, number_index, {", ".join(_COPIED)})
SELECT n.id, n.number, n.index, {", ".join("r." + name for name in _COPIED)}
  FROM unnest(%(ids)s::uuid[], %(numbers)s::bytea[], %(indexes)s::bytea[], %(originals)s::uuid[])
       AS n (id, number, index, original)
  JOIN requisite r ON r.id = n.original
"""


def more_requisites(count: int) -> None:
    """Copies of the traders' first requisites, each with a number of its own that no check has seen."""
    with transaction():
        take_time()
        originals = [
            row["id"]
            for row in hot("SELECT DISTINCT ON (trader_id) id FROM requisite ORDER BY trader_id, id")
        ]
        for start in range(0, count, 10_000):
            ids = [new_id() for _ in range(min(10_000, count - start))]
            numbers = [f"22009{ids[n].int % 10**11:011d}" for n in range(len(ids))]
            params = {
                "ids": ids,
                "numbers": [
                    encrypt("requisite", "number", one, number)
                    for one, number in zip(ids, numbers, strict=True)
                ],
                "indexes": [blind_index("bench", str(one)) for one in ids],
                "originals": [originals[n % len(originals)] for n in range(len(ids))],
            }
            hot(_COPIES, params)
    with db.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE requisite")
        connection.commit()


def build_floor(dsn: str) -> None:
    """The floor's schema, with as many traders, stores and requisites as ours."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        make_floor(connection)
        connection.execute("ANALYZE")


def make_floor(connection: psycopg.Connection[Any]) -> None:
    """Make the schema on this connection, whose search path leads to it from here on."""
    connection.execute("CREATE SCHEMA floor")
    connection.execute("SET search_path = floor, public")
    connection.execute((ROOT / "bench/floor.sql").read_bytes())
    for name in ("core/sql/refuse_change.sql", "ledger/sql/postings.sql", "ledger/sql/accounts.sql"):
        connection.execute((ROOT / "portal" / name).read_bytes())
    connection.execute(_FLOOR_WORLD)
    connection.execute(
        "INSERT INTO requisite (id, trader_id, available_id, held_id, fiat_id, lead_id, number, ring,"
        " min_amount, max_amount, max_open_orders, day_limit)"
        " SELECT gen_random_uuid(), (lpad(to_hex(t), 32, '0'))::uuid, 3 * t + 1, 3 * t + 3, 3 * t + 2, 1, 'x',"
        " floor(random() * 2147483647)::int, 10000, 60000000, 1000, 9000000000000000"
        " FROM generate_series(0, %s - 1) n, LATERAL (SELECT n %% %s AS t) x",
        (REQUISITES, TRADERS),
    )


_FLOOR_WORLD = f"""
INSERT INTO ledger_account (owner_kind, owner_id, kind, currency, mode, floor, keeps_balance)
SELECT 'trader', gen_random_uuid(), k, CASE WHEN k = 'fiat' THEN 'RUB' ELSE 'USDT' END, 'live',
       CASE WHEN k = 'fiat' THEN NULL ELSE 0 END, true
  FROM generate_series(1, {TRADERS}) n, unnest(array['available', 'fiat', 'held']) k ORDER BY n, k;
INSERT INTO ledger_account (owner_kind, owner_id, kind, currency, mode, keeps_balance) VALUES
  ('platform', null, 'revenue', 'USDT', 'live', false), ('world', null, 'fiat', 'RUB', 'live', false),
  ('world', null, 'settlement', 'USDT', 'live', false);
INSERT INTO ledger_account (owner_kind, owner_id, kind, currency, mode, floor, keeps_balance)
SELECT 'store', gen_random_uuid(), 'available', 'USDT', 'live', 0, true FROM generate_series(1, {STORES});
DO $$ DECLARE a record; w bigint; BEGIN
  SELECT id INTO w FROM ledger_account WHERE kind = 'settlement';
  FOR a IN SELECT id FROM ledger_account WHERE kind = 'available' AND owner_kind = 'trader' LOOP
    PERFORM ledger_post('deposit', 'live', 'deposit', gen_random_uuid(), 0, 'ops', null, null, null,
      array[a.id, w], array['USDT', 'USDT'], array[{RICH}, -{RICH}]);
  END LOOP;
END $$;
"""
