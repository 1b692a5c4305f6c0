"""The house's invariants as queries with their numbers, over any database.

What `flask ledger verify` proves already is taken from there; this adds what it does not look at. An invariant that
is only true at rest (`at_rest`) tells of work that was left lying; one that compares transactions (`xmin`) says
nothing of a restored copy, whose rows were all written by the restore.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from portal.audit.sealing import COLUMNS, FIRST, hash_of
from portal.orders.integrity.proof import CHECKS
from portal.orders.transitions import PAYIN, PAYOUT
from portal.webhooks.schedule import MAX_ATTEMPTS

Connection = psycopg.Connection[Any]
EXAMPLES = 5
# How long something due may lie at rest: longer than any poll, any lease that was lost, and a first retry.
GRACE_S = 60


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that does not hold: how many rows break it, and the first of them."""

    number: str
    sentence: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.number} {self.sentence}: {self.count} x, {'; '.join(self.examples)}"


@dataclass(frozen=True, slots=True)
class Invariant:
    """`sql` yields one text column `example` for each violation."""

    number: str
    sentence: str
    sql: str
    at_rest: bool = False
    of_live_data: bool = False


# The number under which each check of the product is reported.
PRODUCT = {
    "every entry sums to zero in every currency": "M1",
    "every entry has two postings or more, of its own mode": "M1",
    "all accounts of a currency sum to zero": "M2",
    "every running balance equals the sum of its postings": "M3",
    "every rolled-up balance equals the sum of its postings": "M3",
    "every balance after follows from the one before": "M3",
    "no account is, or ever was, below its floor": "M4",
    "every account has the floor of its kind": "M4",
    "every trader's held deposit equals the holds of their payins": "M5",
    "every store's held balance equals the holds of its payouts": "M5",
    "every order's hold equals its postings": "M5",
    "every store's exposure equals the holds of its payins": "M5",
    "a completed order has one completion, any other order none": "M6",
    "no entry is reversed twice, and a reversal mirrors its entry": "M9",
    "every posting is of its account's currency and mode": "M11",
    "every order's timeline is lawful and without gaps": "S1",
    "every order has a timeline": "S1",
    "every requisite's counters equal its orders": "R2",
    "every order's requisite is of its trader and mode": "R4",
    "every order's reason is that of its last step": "S1",
    "every end of an order was told": "J1",
    "every order is what was told of it": "W6",
    "every requisite that lost an order is remembered, and no other": "R5",
    "every event that was handed on has its delivery, and what arrived was answered": "J2",
    "no silence is given back before it was": "S6",
    "every deposit has a record of where it came from, and moves what that says": "M16",
    "no entry is of a kind that nothing posts": "M16",
    "every order's price follows from its frozen rate and fees": "M8",
    "every order's rate was in force: the history of rates holds it": "M8",
    "every settlement follows from its order's frozen terms, to the accounts of its people": "M7",
    "every hold and release follows from its order's frozen terms": "M5",
    "every entry of an order is of a kind that its direction has": "M16",
}
# What no query over the stored rows can decide, and how it is shown instead.
ELSEWHERE = {
    "M14": "compares tables before and after a refused command: tests/web, tests/api",
    "M15": "there are no clearing or suspense accounts",
    "M17": "no daily snapshots are kept: the proof runs over the whole history",
    "S3": "the one winner of a race is what S1 and M6 find in the rows; the answers: tests/orders/test_races.py",
    "S5": "tests/orders/test_receipts.py",
    "S7": "a late payment is a late completion or a dispute: tests/orders",
    "R6": "a rule of risk: tests/risk",
    "I1": "what one key did, in any number of calls: tests/api/test_idempotency.py, tests/faults/single/test_cut_connections.py",
    "I2": "answers: tests/api/test_idempotency.py",
    "I3": "answers: tests/api/test_idempotency.py",
    "I4": "answers: tests/api/test_idempotency.py",
    "I5": "the primary key of idempotency_key holds store, mode and path: tests/api/test_idempotency.py",
    "I7": "answers: tests/faults/single/test_locks.py",
    "I9": "tests/web/test_listing.py",
    "J3": "tests/workers/test_twice.py",
    "J5": "what Redis holds: tests/workers/test_worker.py",
    "J6": "tests/telemetry/test_metrics.py",
    "W1": "what is sent: tests/webhooks/test_signing.py",
    "W3": "connections: tests/core/test_egress.py",
    "W4": "what is sent: tests/webhooks/test_signing.py",
    "W5": "times: tests/webhooks/test_relay.py",
    "L3": "the part that rows can show is here; logs and Redis: tests/telemetry",
}

_GUARDS = (
    "ledger_account_balance_moves_by_postings", "ledger_account_keeps_identity", "ledger_account_starts_empty",
    "ledger_account_stays", "ledger_account_stays_whole", "ledger_entry_has_postings", "ledger_entry_stays",
    "ledger_entry_stays_whole", "ledger_posting_apply", "ledger_posting_stays", "ledger_posting_stays_whole",
    "ledger_postings_balance", "order_event_stays", "order_event_stays_whole", "order_status_moves",
    "orders_frozen", "orders_stay",
)  # fmt: skip


def _told() -> str:
    """Every (direction, step, status reached, event) of the transition table that a store hears of."""
    rows = {
        (direction, row.step.value, row.target.value, row.event)
        for direction, table in (("payin", PAYIN), ("payout", PAYOUT))
        for row in table
        if row.event
    }
    rows |= {("payin", "created", "failed", "order.failed"), ("payout", "created", "failed", "payout.failed")}
    return ", ".join(f"('{a}', '{b}', '{c}', '{d}')" for a, b, c, d in sorted(rows))


_SETTLED = """
WITH moved AS (
  SELECT o.id, o.direction, o.settlement_minor AS s, o.fee_minor AS f,
         (o.settlement_minor * o.trader_commission_bps + 5000) / 10000 AS share,
         coalesce(o.amount_received_minor, o.amount_minor) AS fiat,
         coalesce(sum(p.amount) FILTER (WHERE a.owner_kind = 'store'), 0)::bigint AS store,
         coalesce(sum(p.amount) FILTER (WHERE a.owner_kind = 'trader' AND a.kind <> 'fiat'), 0)::bigint AS trader,
         coalesce(sum(p.amount) FILTER (WHERE a.owner_kind IN ('platform', 'lead')), 0)::bigint AS house,
         coalesce(sum(p.amount) FILTER (WHERE a.owner_kind = 'trader' AND a.kind = 'fiat'), 0)::bigint AS cash
    FROM orders o JOIN ledger_entry e ON e.subject_id = o.id AND e.kind IN ('payin_completed', 'payout_completed')
    JOIN ledger_posting p ON p.entry_id = e.id JOIN ledger_account a ON a.id = p.account_id
   WHERE o.status = 'completed' GROUP BY o.id
)
SELECT format('order %s: store %s, trader %s, house %s, cash %s', id, store, trader, house, cash) AS example FROM moved
 WHERE (store, trader, house, cash) IS DISTINCT FROM
       CASE direction WHEN 'payin' THEN (s - f, share - s, f - share, fiat)
                      ELSE (-s - f, s + share, f - share, -fiat) END
"""
_PRICED = """
SELECT format('order %s: %s at %s is kept as %s with a fee of %s', o.id, x.fiat, o.rate_micros, o.settlement_minor,
              o.fee_minor) AS example
  FROM orders o JOIN currency c ON c.code = o.currency JOIN currency s ON s.code = o.settlement_currency
 CROSS JOIN LATERAL (SELECT coalesce(o.amount_received_minor, o.amount_minor) AS fiat) x
 WHERE abs(o.settlement_minor - x.fiat * 1e6 * power(10::numeric, s.exponent - c.exponent) / o.rate_micros) > 0.5
    OR o.fee_minor <> (o.settlement_minor * o.store_fee_bps + 5000) / 10000 + o.fixed_fee_minor
"""
_NO_TRACE = """
SELECT format('order %s is %s and moved %s %s of %s', o.id, o.status, sum(p.amount), p.currency, a.owner_kind) AS example
  FROM orders o JOIN ledger_entry e ON e.subject_id = o.id JOIN ledger_posting p ON p.entry_id = e.id
  JOIN ledger_account a ON a.id = p.account_id
 WHERE o.status <> 'completed' GROUP BY o.id, o.status, a.owner_kind, a.owner_id, p.currency HAVING sum(p.amount) <> 0
"""
_HOLD_ONCE = """
SELECT format('order %s took %s holds and gave up %s', o.id, x.taken, x.ended) AS example
  FROM orders o CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE e.kind IN ('payin_matched', 'payout_created')) AS taken,
           count(*) FILTER (WHERE e.kind IN ('payin_released', 'payout_released', 'payin_completed', 'payout_completed'))
             AS ended
      FROM ledger_entry e WHERE e.subject_id = o.id) x
 WHERE x.taken - x.ended <> (o.hold_minor > 0)::int
"""
_PAID_UNSEEN = """
SELECT format('payout %s is completed and nobody took it', o.id) AS example FROM orders o
 WHERE o.direction = 'payout' AND o.status = 'completed' AND (o.trader_id IS NULL OR NOT EXISTS (
       SELECT 1 FROM order_event v WHERE v.order_id = o.id AND v.event = 'matched'))
"""
_NOT_WHOLE = """
SELECT format('%s.%s is %s', table_name, column_name, data_type) AS example FROM information_schema.columns
 WHERE table_schema = 'public' AND data_type NOT IN ('bigint', 'integer', 'smallint')
   AND (column_name LIKE '%\\_minor' OR column_name LIKE '%\\_micros'
        OR table_name LIKE 'ledger\\_%' AND column_name IN ('amount', 'balance', 'balance_after', 'floor'))
"""
_UNGUARDED = f"""
SELECT format('the trigger %s is missing or off', wanted.name) AS example
  FROM unnest(array[{", ".join(f"'{name}'" for name in _GUARDS)}]) AS wanted(name)
 WHERE NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgname = wanted.name AND t.tgenabled IN ('O', 'A'))
"""
_SOURCES = """
SELECT format('entry %s (%s) is about %s %s', e.id, e.kind, e.subject_kind, e.subject_id) AS example FROM ledger_entry e
 WHERE e.subject_kind = 'order' AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = e.subject_id AND o.mode = e.mode)
    OR e.kind IN ('adjustment', 'reversal') AND coalesce(e.reason, '') = ''
    OR e.actor_id IS NULL AND e.actor_kind IN ('merchant', 'trader', 'lead', 'support', 'admin')
"""
_LATER_POSTING = """
SELECT format('posting %s was added to entry %s later', p.id, e.id) AS example
  FROM ledger_posting p JOIN ledger_entry e ON e.id = p.entry_id WHERE p.xmin <> e.xmin
"""
_APART = """
SELECT format('order %s was completed and settled apart', e.subject_id) AS example FROM ledger_entry e
 WHERE e.kind IN ('payin_completed', 'payout_completed')
   AND NOT EXISTS (SELECT 1 FROM order_event v WHERE v.order_id = e.subject_id AND v.to_status = 'completed'
                      AND v.xmin = e.xmin)
"""
_ENDED_TWICE = """
SELECT format('order %s ended %s times', order_id, count(*)) AS example FROM order_event
 WHERE to_status IN ('completed', 'cancelled', 'failed') AND from_status IS DISTINCT FROM to_status
 GROUP BY order_id HAVING count(*) > 1
"""
_CASES = """
SELECT format('order %s is %s with %s open disputes', o.id, o.status, count(d.id)) AS example
  FROM orders o LEFT JOIN dispute d ON d.order_id = o.id AND d.outcome IS NULL
 GROUP BY o.id, o.status HAVING count(d.id) <> (o.status = 'disputed')::int
"""
_TOO_SOON = """
SELECT format('order %s ran out at %s, its time was %s', o.id, v.at, o.pay_by) AS example
  FROM orders o JOIN order_event v ON v.order_id = o.id AND v.event = 'pay_ran_out' AND v.to_status = 'expired'
 WHERE v.at < o.pay_by
"""
_OVERDUE = f"""
SELECT format('order %s is %s and was due at %s', id, status, due_at) AS example FROM orders
 WHERE due_at < clock_timestamp() - interval '{GRACE_S} s'
"""
_OTHER_AMOUNT = """
SELECT format('order %s: %s instead of %s', o.id, o.amount_received_minor, o.amount_minor) AS example
  FROM orders o JOIN order_event v ON v.order_id = o.id AND v.to_status = 'completed' AND v.from_status <> 'completed'
 WHERE o.amount_received_minor <> o.amount_minor AND v.actor_kind NOT IN ('customer', 'trader', 'support', 'admin', 'ops')
"""
# A dispute over an expired order and a late completion are counted over the limits on purpose: the money has come.
_OVER_LIMITS = """
WITH used AS (
  SELECT requisite_id AS id, count(*) FILTER (WHERE status LIKE 'awaiting%') AS open,
         sum(amount_minor) FILTER (WHERE counted_day IS NOT NULL) AS total
    FROM orders o WHERE requisite_id IS NOT NULL AND status NOT IN ('expired', 'cancelled', 'failed')
     AND NOT EXISTS (SELECT 1 FROM order_event v WHERE v.order_id = o.id AND v.from_status = 'expired')
   GROUP BY 1
), today AS (
  SELECT o.requisite_id AS id, o.counted_day, count(*) AS n, sum(o.amount_minor) AS amount
    FROM orders o WHERE o.counted_day IS NOT NULL AND status NOT IN ('expired', 'cancelled', 'failed')
     AND NOT EXISTS (SELECT 1 FROM order_event v WHERE v.order_id = o.id AND v.from_status = 'expired')
   GROUP BY 1, 2
)
SELECT format('requisite %s has %s open orders of %s', r.id, u.open, r.max_open_orders) AS example
  FROM used u JOIN requisite r USING (id) WHERE u.open > r.max_open_orders OR u.total > r.total_amount_limit
 UNION ALL
SELECT format('requisite %s took %s orders of %s on %s', r.id, t.n, t.amount, t.counted_day)
  FROM today t JOIN requisite r USING (id) WHERE t.n > r.day_count_limit OR t.amount > r.day_amount_limit
 UNION ALL
SELECT format('order %s of %s %s is with requisite %s', o.id, o.amount_minor, o.currency, r.id)
  FROM orders o JOIN requisite r ON r.id = o.requisite_id
 WHERE o.status LIKE 'awaiting%' AND (r.currency <> o.currency OR r.method <> o.method
    OR o.direction = 'payin' AND o.amount_minor NOT BETWEEN r.min_amount AND r.max_amount)
"""
_SAME_AMOUNT = """
SELECT format('requisite %s waits for %s twice', requisite_id, amount_minor) AS example FROM orders
 WHERE direction = 'payin' AND status IN ('awaiting_payment', 'awaiting_confirmation')
 GROUP BY requisite_id, amount_minor HAVING count(*) > 1
"""
_UNVETTED = """
SELECT format('order %s is with trader %s, who was never verified', o.id, t.id) AS example
  FROM orders o JOIN trader t ON t.id = o.trader_id WHERE o.status LIKE 'awaiting%' AND t.status = 'pending'
"""
_CAME_BACK = """
SELECT format('order %s is again with requisite %s', o.id, o.requisite_id) AS example
  FROM orders o JOIN past_assignment p ON p.order_id = o.id AND p.requisite_id = o.requisite_id
 WHERE o.status LIKE 'awaiting%'
"""
_KEPT_FAILURE = """
SELECT format('key %s of store %s keeps a %s', key, store_id, status) AS example FROM idempotency_key WHERE status >= 500
"""
_SAME_EXTERNAL = """
SELECT format('store %s has %s orders %s', store_id, count(*), external_id) AS example FROM orders
 WHERE external_id IS NOT NULL GROUP BY store_id, mode, external_id HAVING count(*) > 1
"""
_TOLD_ONCE = f"""
WITH told (direction, step, status, type) AS (VALUES {_told()}),
steps AS (
  SELECT v.order_id AS id, t.type, count(*) AS n FROM order_event v JOIN orders o ON o.id = v.order_id
    JOIN told t ON t.direction = o.direction AND t.step = v.event AND t.status = v.to_status GROUP BY 1, 2
), events AS (
  SELECT subject_id AS id, type, count(*) AS n FROM event
   WHERE subject_kind = 'order' AND type IN (SELECT type FROM told) GROUP BY 1, 2
)
SELECT format('order %s: %s happened %s times and is told %s times', coalesce(s.id, e.id), coalesce(s.type, e.type),
              coalesce(s.n, 0), coalesce(e.n, 0)) AS example
  FROM steps s FULL JOIN events e USING (id, type) WHERE coalesce(s.n, 0) <> coalesce(e.n, 0)
"""
_LEFT_LYING = f"""
SELECT format('event %s (%s) is %s: %s', id, type, state, last_error) AS example FROM event
 WHERE state = 'dead' OR state = 'pending' AND next_at < clock_timestamp() - interval '{GRACE_S} s'
   AND coalesce(lease_until, next_at) < clock_timestamp()
 UNION ALL
SELECT format('delivery %s is pending since %s', d.id, d.next_at) FROM webhook_delivery d
  JOIN webhook_endpoint e ON e.id = d.endpoint_id AND e.disabled_at IS NULL AND e.deleted_at IS NULL
 WHERE d.state = 'pending' AND d.next_at < clock_timestamp() - interval '{GRACE_S} s'
   AND coalesce(d.lease_until, d.next_at) < clock_timestamp()
 UNION ALL
SELECT format('mail %s is pending since %s', id, next_at) FROM mail
 WHERE state = 'pending' AND next_at < clock_timestamp() - interval '{GRACE_S} s'
   AND coalesce(lease_until, next_at) < clock_timestamp()
"""
# An endpoint that was off for a while missed what happened then; it is left out by its attempts' absence alone.
_NOT_FANNED_OUT = """
SELECT format('event %s (%s) has no delivery to endpoint %s', v.id, v.type, e.id) AS example
  FROM event v JOIN webhook_endpoint e ON e.store_id = v.store_id AND e.mode = v.mode AND e.created_at < v.created_at
 WHERE v.state = 'done' AND e.disabled_at IS NULL AND e.deleted_at IS NULL
   AND (e.event_types IS NULL OR v.type = ANY(e.event_types))
   AND NOT EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.event_id = v.id AND d.endpoint_id = e.id)
"""
_AHEAD = """
SELECT format('event %s tells version %s of order %s', v.id, v.version, v.subject_id) AS example
  FROM event v LEFT JOIN orders o ON o.id = v.subject_id AND o.store_id = v.store_id AND o.mode = v.mode
 WHERE v.subject_kind = 'order' AND (o.id IS NULL OR v.version > o.version)
"""
_TRIES = f"""
SELECT format('delivery %s is %s after %s attempts, %s kept', d.id, d.state, d.attempts, x.kept) AS example
  FROM webhook_delivery d CROSS JOIN LATERAL (
    SELECT count(*) AS kept, bool_or(a.status_code BETWEEN 200 AND 299) AS got_through
      FROM webhook_attempt a WHERE a.delivery_id = d.id) x
 WHERE d.attempts > {MAX_ATTEMPTS} OR d.attempts > x.kept OR (d.state = 'pending') <> (d.done_at IS NULL)
    OR d.state = 'delivered' AND x.got_through IS NOT TRUE
"""
_LAST_WORD = """
SELECT format('order %s is %s, its newest event says %s', o.id, o.status, v.data ->> 'status') AS example
  FROM orders o CROSS JOIN LATERAL (
    SELECT array_agg(e.data ->> 'status') AS said, max(e.data ->> 'status') AS status FROM event e
     WHERE e.subject_id = o.id AND e.subject_kind = 'order' AND e.type ~ '^(order|payout)[.]'
       AND e.version = (SELECT max(version) FROM event x WHERE x.subject_id = o.id AND x.subject_kind = 'order')) w
  JOIN event v ON v.subject_id = o.id AND v.data ->> 'status' = ANY(w.said)
 WHERE o.status IN ('completed', 'cancelled', 'failed') AND o.status <> ALL(w.said)
"""
_UNAUDITED = """
SELECT format('%s of order %s by %s is not in the audit log', v.event, v.order_id, v.actor_kind) AS example
  FROM order_event v
 WHERE v.actor_kind IN ('ops', 'admin', 'support', 'lead') AND v.from_status IS DISTINCT FROM v.to_status
   AND NOT EXISTS (SELECT 1 FROM audit_entry a WHERE a.subject_kind = 'order' AND a.subject_id = v.order_id::text
                      AND a.action = 'order.' || v.event)
"""
_NUMBERS = """
SELECT format('audit entry %s (%s)', id, action) AS example FROM audit_entry
 WHERE concat(before, after, reason) ~ '(^|[^0-9a-f-])[2-6][0-9]{15}([^0-9a-f-]|$)'
 UNION ALL
SELECT format('event %s (%s)', id, type) FROM event WHERE data::text ~ '(^|[^0-9a-f-])[2-6][0-9]{15}([^0-9a-f-]|$)'
"""

OWN = (
    Invariant("M5", "each hold is taken once and ends once", _HOLD_ONCE),
    Invariant("M6", "an order that is not completed has moved no money between owners", _NO_TRACE),
    Invariant("M7", "a completed order pays each party exactly its part", _SETTLED),
    Invariant("M8", "an order is settled at the rate and fees it was made with", _PRICED),
    Invariant("M10", "no payout is completed that nobody took", _PAID_UNSEEN),
    Invariant("M11", "money is whole numbers of minor units in every table", _NOT_WHOLE),
    Invariant("M12", "the guards of ledger and timeline stand", _UNGUARDED),
    Invariant(
        "M13", "no posting was added after its entry's transaction", _LATER_POSTING, of_live_data=True
    ),
    Invariant("M16", "every entry says who made it and what it is about", _SOURCES),
    Invariant("M18", "an order completes in the transaction that settles it", _APART, of_live_data=True),
    Invariant("S2", "an order ends once", _ENDED_TWICE),
    Invariant("S4", "an order is disputed exactly while a dispute is open", _CASES),
    Invariant("S6", "no order ran out before its time", _TOO_SOON),
    Invariant("S6", "no deadline was passed over", _OVERDUE, at_rest=True),
    Invariant("S8", "nothing completes by itself with another amount", _OTHER_AMOUNT),
    Invariant("R1", "no requisite is given more than its limits", _OVER_LIMITS),
    Invariant("R3", "no requisite waits for the same amount twice", _SAME_AMOUNT),
    Invariant("R4", "no order is with a trader who was never verified", _UNVETTED),
    Invariant("R5", "an order never comes back to a requisite that lost it", _CAME_BACK),
    Invariant("I6", "a store's own number is on one order", _SAME_EXTERNAL),
    Invariant("I8", "no failure of ours is kept as the answer to a key", _KEPT_FAILURE),
    Invariant("J1", "every step is told as often as it happened", _TOLD_ONCE),
    Invariant("J2", "nothing due was left lying", _LEFT_LYING, at_rest=True),
    Invariant("J2", "every event went to each endpoint that wants it", _NOT_FANNED_OUT, at_rest=True),
    Invariant("J4", "no event tells of what was never committed", _AHEAD),
    Invariant("W2", "deliveries follow their schedule and end as their attempts say", _TRIES),
    Invariant("W6", "the newest event of an order says how it ended", _LAST_WORD),
    Invariant("L1", "what staff did to an order is in the audit log", _UNAUDITED),
    Invariant("L3", "no full number of a card is in the audit log or an event", _NUMBERS),
)  # fmt: skip


def broken(connection: Connection, *, at_rest: bool = False, is_copy: bool = False) -> list[Broken]:
    """Every invariant that does not hold; an empty list means that all do. Reads only.

    One snapshot, unless the caller has a transaction open: then what that one sees. `at_rest`: nothing is being
    worked on, so what is due and lies there is a finding too. `is_copy`: the database was restored from a backup.
    """
    if connection.info.transaction_status is TransactionStatus.IDLE:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SET LOCAL statement_timeout = 0")
            return broken(connection, at_rest=at_rest, is_copy=is_copy)
    wanted = [Invariant(PRODUCT[check.name], check.name, check.sql) for check in CHECKS]
    wanted += [i for i in OWN if (at_rest or not i.at_rest) and not (is_copy and i.of_live_data)]
    found = [broken_by(connection, invariant) for invariant in wanted]
    found += [judge(connection) for judge in JUDGES]
    return [finding for finding in found if finding is not None]


def broken_by(connection: Connection, invariant: Invariant) -> Broken | None:
    """What breaks this one."""
    sql = (
        f"WITH broken AS ({invariant.sql}) SELECT count(*) OVER () AS n, example FROM broken LIMIT {EXAMPLES}"
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(sql.encode()).fetchall()
    if not rows:
        return None
    examples = tuple(str(row["example"]) for row in rows)
    return Broken(invariant.number, invariant.sentence, int(rows[0]["n"]), examples)


def broken_chain(connection: Connection) -> Broken | None:
    """L2: every link of the audit log is computed again, and no entry is without one."""
    links = f"SELECT s.sequence AS nth, s.previous_hash, s.hash, {COLUMNS} FROM audit_seal s"
    links += " JOIN audit_entry e ON e.id = s.entry_id ORDER BY s.sequence"
    astray = (
        "SELECT e.id FROM audit_entry e WHERE NOT EXISTS (SELECT 1 FROM audit_seal s WHERE s.entry_id = e.id)"
    )
    astray += " AND NOT EXISTS (SELECT 1 FROM audit_unsealed u WHERE u.entry_id = e.id)"
    problems: list[str] = []
    before, due = FIRST, 1
    with connection.cursor(row_factory=dict_row) as cursor:
        for link in cursor.execute(links.encode()).fetchall():
            nth, previous, kept = link.pop("nth"), bytes(link.pop("previous_hash")), bytes(link.pop("hash"))
            if nth != due or previous != before or hash_of(nth, previous, link) != kept:
                problems.append(f"link {nth} with entry {link['id']}")
            before, due = kept, nth + 1
        problems += [f"entry {row['id']} is not chained" for row in cursor.execute(astray).fetchall()]
    if not problems:
        return None
    return Broken("L2", "the audit log is what was sealed", len(problems), tuple(problems[:EXAMPLES]))


JUDGES: tuple[Callable[[Connection], Broken | None], ...] = (broken_chain,)
