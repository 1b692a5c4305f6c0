"""Past orders by the million: copies of payins that really went through, or bare order rows for long lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

_OFF = ("session_replication_role = replica", "maintenance_work_mem = '1GB'", "synchronous_commit = off")


@contextmanager
def _loading(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that neither fires triggers nor maintains secondary indexes of `orders` until the end."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for setting in _OFF:
            connection.execute(f"SET {setting}")
        kept = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'orders' AND schemaname = 'public'"
            " AND indexname <> 'pk_orders'"
        ).fetchall()
        for name, _ in kept:
            connection.execute(f'ALTER TABLE orders DROP CONSTRAINT IF EXISTS "{name}"')
            connection.execute(f'DROP INDEX IF EXISTS "{name}"')
        yield connection
        for _, definition in kept:
            connection.execute(definition)
        # No checkpoint: after one, the first touch of each page writes it whole, which servers that have been
        # busy for a while have behind them, and a short measurement would never get over.
        connection.execute("VACUUM ANALYZE")


# One past order a second. The same ids for the same numbers, growing with time as real ones do.
_PAST_ID = """
CREATE FUNCTION pg_temp.past_id(n bigint, what text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
SELECT (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7' || substr(md5(n || what), 1, 3) || '8'
        || substr(md5(n || what), 4, 15))::uuid $$;
"""
_COPIES = """
CREATE TEMP TABLE template AS SELECT o.id, o.store_id, o.external_id, row_number() OVER (ORDER BY o.id) - 1 AS place FROM orders o
 WHERE o.status = 'completed';
CREATE TEMP TABLE copy AS
SELECT t.id AS original, t.store_id, t.external_id, n, pg_temp.past_id(n, 'order') AS id, to_timestamp(1700000000 + n) AS at
  FROM generate_series(1, {count}) n JOIN template t ON t.place = n % (SELECT count(*) FROM template);
ANALYZE copy;
ANALYZE template;
ANALYZE;
"""
_AT = ("created_at", "updated_at", "ended_at", "assigned_at")
# What stands in a copy instead of the original's value, by table.
_CHANGED: dict[str, dict[str, str]] = {
    "orders": {"id": "c.id", "external_id": "'past-' || c.n", "token_hash": "sha256(c.id::text::bytea)"}
    | dict.fromkeys(_AT, "c.at")
    | {"counted_day": "c.at::date", "claimed_at": "CASE WHEN r.claimed_at IS NOT NULL THEN c.at END"},
    "order_event": {"order_id": "c.id", "at": "c.at"},
    "event": {
        "id": "pg_temp.past_id(c.n, r.type)", "subject_id": "c.id", "created_at": "c.at", "state": "'done'",
        "done_at": "c.at", "next_at": "c.at", "data": "r.data || jsonb_build_object('updated_at', api_moment(c.at)::jsonb)",
    },
    "idempotency_key": {"key": "'past-' || c.n", "created_at": "c.at"},
}  # fmt: skip
_JOINED_BY = {
    "orders": "r.id = c.original",
    "order_event": "r.order_id = c.original",
    "event": "r.subject_id = c.original",
    "idempotency_key": "r.store_id = c.store_id AND r.key = c.external_id",
}
_THEN_BY = {"order_event": "r.id", "event": "r.id"}
_LEDGER = """
CREATE TEMP TABLE old_entry AS SELECT e.*, row_number() OVER (PARTITION BY e.subject_id ORDER BY e.id) AS nth,
  count(*) OVER (PARTITION BY e.subject_id) AS of_order FROM ledger_entry e JOIN template t ON t.id = e.subject_id;
ANALYZE old_entry;
CREATE TEMP TABLE start AS SELECT (SELECT max(id) FROM ledger_entry) AS entry, (SELECT max(id) FROM ledger_posting) AS posting;
CREATE TEMP TABLE new_entry AS
SELECT start.entry + row_number() OVER (ORDER BY c.n, e.nth) AS id, e.id AS original, c.id AS subject_id, c.at, c.n
  FROM copy c JOIN old_entry e ON e.subject_id = c.original, start;
ANALYZE new_entry;
INSERT INTO ledger_entry (id, kind, mode, subject_kind, subject_id, round, actor_kind, actor_id, reason, created_at)
OVERRIDING SYSTEM VALUE
SELECT n.id, e.kind, e.mode, e.subject_kind, n.subject_id, e.round, e.actor_kind, e.actor_id, e.reason, n.at
  FROM new_entry n JOIN ledger_entry e ON e.id = n.original;
CREATE TEMP TABLE new_posting AS
SELECT start.posting + row_number() OVER (ORDER BY n.id, p.id) AS id, n.id AS entry_id, p.account_id, p.currency,
       p.mode, p.amount
  FROM new_entry n JOIN ledger_posting p ON p.entry_id = n.original, start;
ANALYZE new_posting;
INSERT INTO ledger_posting (id, entry_id, account_id, currency, mode, amount, balance_after)
OVERRIDING SYSTEM VALUE
SELECT p.id, p.entry_id, p.account_id, p.currency, p.mode, p.amount, CASE WHEN a.keeps_balance
         THEN a.balance + sum(p.amount) OVER (PARTITION BY p.account_id ORDER BY p.id) END
  FROM new_posting p JOIN ledger_account a ON a.id = p.account_id;
CREATE TEMP TABLE moved AS SELECT account_id, sum(amount)::bigint AS amount FROM new_posting GROUP BY account_id;
UPDATE ledger_account a SET balance = a.balance + m.amount FROM moved m WHERE m.account_id = a.id AND a.keeps_balance;
INSERT INTO ledger_rollup (account_id, balance)
SELECT m.account_id, m.amount FROM moved m JOIN ledger_account a ON a.id = m.account_id AND NOT a.keeps_balance
    ON CONFLICT (account_id) DO UPDATE SET balance = ledger_rollup.balance + excluded.balance;
UPDATE requisite r SET total_amount = r.total_amount + s.amount
  FROM (SELECT o.requisite_id, sum(o.amount_minor) AS amount FROM copy c JOIN orders o ON o.id = c.original
         GROUP BY o.requisite_id) s WHERE s.requisite_id = r.id;
SELECT setval(pg_get_serial_sequence('ledger_entry', 'id'), (SELECT max(id) FROM ledger_entry)),
       setval(pg_get_serial_sequence('ledger_posting', 'id'), (SELECT max(id) FROM ledger_posting));
"""


def multiply_orders(dsn: str, count: int) -> None:
    """Add `count` completed payins, each a copy of one that really went through, with all that it left behind.

    Orders, their history, events, idempotency keys, ledger entries and postings; `flask ledger verify` finds
    nothing afterwards. Only ids, times and keys differ from the originals.
    """
    with _loading(dsn) as connection:
        connection.execute(_PAST_ID)
        connection.execute(_COPIES.replace("{count}", str(count)))
        # Orders last: while their indexes are gone, the others look for the originals among a few rows.
        for table in ("idempotency_key", "order_event", "event"):
            _copy(connection, table)
        connection.execute(_LEDGER)
        _copy(connection, "orders")


def _copy(connection: psycopg.Connection[Any], table: str) -> None:
    names = [
        row[0]
        for row in connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name = %s AND is_identity = 'NO' AND is_generated = 'NEVER'",
            (table,),
        )
    ]
    changed = _CHANGED[table]
    values = [sql.SQL(changed[name]) if name in changed else sql.Identifier("r", name) for name in names]
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} r JOIN copy c ON {} ORDER BY c.n, {}").format(
            sql.Identifier("public", table),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join(values),
            sql.Identifier("public", table),
            sql.SQL(_JOINED_BY[table]),
            sql.SQL(_THEN_BY.get(table, "1")),
        )
    )


def add_order_rows(dsn: str, count: int) -> None:
    """Add `count` completed payins as rows of `orders` alone, all of one store, for lists and matching.

    Every CHECK holds; no ledger entries stand behind them.
    """
    with _loading(dsn) as connection:
        connection.execute(_PAST_ID)
        connection.execute(_ROWS, {"n": count})


_ROWS = """
INSERT INTO orders (id, mode, direction, status, store_id, external_id, amount_minor, currency, method,
  settlement_currency, settlement_minor, fee_minor, rate_micros, rate_source, rate_at, store_fee_bps,
  fixed_fee_minor, trader_commission_bps, lead_commission_bps, requisite_id, trader_id, token_hash, created_at,
  updated_at, ended_at)
SELECT pg_temp.past_id(n, 'order'),
       'live', 'payin', 'completed', r.store_id, 'past-' || n, 10000 + n %% 1000000, 'RUB', 'card', 'USDT', 1000000,
       30000, 95000000, 'manual', now(), 300, 0, 100, 50, r.requisite_id, r.trader_id, sha256(n::text::bytea),
       to_timestamp(1700000000 + n), to_timestamp(1700000000 + n), to_timestamp(1700000000 + n)
  FROM generate_series(1, %(n)s) n,
       (SELECT s.id AS store_id, q.id AS requisite_id, q.trader_id FROM requisite q, store s
         ORDER BY q.id, s.id LIMIT 1) r
"""
