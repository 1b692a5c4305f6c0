"""What orders, their holds, their requisites and the ledger must agree on: each check finds nothing, or a defect.

Run after the ledger's own checks, in one snapshot, so that orders moving meanwhile are no findings.
"""

from __future__ import annotations

from portal.ledger.integrity import Check
from portal.orders.integrity.rates import CHECKS as RATE_CHECKS
from portal.orders.integrity.settlements import CHECKS as SETTLEMENT_CHECKS
from portal.orders.integrity.told import CHECKS as TOLD_CHECKS
from portal.orders.models import ASSIGNED, ENDED, sql_list
from portal.orders.transitions import PAYIN, PAYOUT, Note, Step

_OPEN = sql_list(ASSIGNED)


def _lawful_steps() -> str:
    """Every (direction, step, from, to) of the transition table, and the steps that keep the status."""
    rows = [
        (direction, row.step.value, source.value, row.target.value)
        for direction, table in (("payin", PAYIN), ("payout", PAYOUT))
        for row in table
        for source in row.sources
    ]
    return ", ".join(f"('{direction}', '{step}', '{a}', '{b}')" for direction, step, a, b in sorted(rows))


_STILL = "(" + ", ".join(f"'{note.value}'" for note in Note) + ")"

# A trader's deposit holds what their open payins hold; a store's balance what its open payouts hold.
_HELD = """
SELECT format('%(owner)s %%s (%%s, %%s): held %%s, orders hold %%s', coalesce(l.owner_id, o.owner_id),
              coalesce(l.mode, o.mode), coalesce(l.currency, o.currency), coalesce(l.held, 0), coalesce(o.held, 0)) AS example
  FROM (SELECT owner_id, mode, currency, balance AS held FROM ledger_account
         WHERE owner_kind = '%(owner)s' AND kind = 'held') l
  FULL JOIN (SELECT %(owner)s_id AS owner_id, mode, settlement_currency AS currency, sum(hold_minor) AS held
               FROM orders WHERE direction = '%(direction)s' AND hold_minor > 0 GROUP BY 1, 2, 3) o
    USING (owner_id, mode, currency)
 WHERE coalesce(l.held, 0) <> coalesce(o.held, 0)
"""

_COMPLETIONS = """
SELECT format('order %s is %s and has %s completions', o.id, o.status, count(e.id)) AS example
  FROM orders o
  LEFT JOIN ledger_entry e ON e.subject_id = o.id AND e.kind IN ('payin_completed', 'payout_completed')
   AND NOT EXISTS (SELECT 1 FROM ledger_entry r WHERE r.reverses_entry_id = e.id)
 GROUP BY o.id, o.status
HAVING count(e.id) <> (CASE WHEN o.status = 'completed' THEN 1 ELSE 0 END)
"""

_HOLDS = """
SELECT format('order %s holds %s, its postings %s', o.id, o.hold_minor, coalesce(s.held, 0)) AS example
  FROM orders o
  LEFT JOIN (SELECT e.subject_id, sum(p.amount) AS held FROM ledger_entry e
               JOIN ledger_posting p ON p.entry_id = e.id JOIN ledger_account a ON a.id = p.account_id
              WHERE e.subject_kind = 'order' AND a.kind = 'held' AND a.owner_kind IN ('trader', 'store')
              GROUP BY e.subject_id) s ON s.subject_id = o.id
 WHERE o.hold_minor <> coalesce(s.held, 0)
"""

# An order counts for its requisite while it is open (unless it is in dispute after its time was up), and after it was
# completed.
_COUNTERS = f"""
WITH told AS (
  SELECT r.id, count(*) FILTER (WHERE o.status IN {_OPEN}) AS open,
         coalesce(sum(o.amount_minor) FILTER (WHERE o.counted_day = r.day), 0) AS day_amount,
         count(*) FILTER (WHERE o.counted_day = r.day) AS day_count,
         coalesce(sum(o.amount_minor) FILTER (WHERE o.window_leaves_at IS NOT NULL), 0) AS in_window,
         coalesce(sum(o.amount_minor), 0) AS total
    FROM requisite r
    LEFT JOIN orders o ON o.requisite_id = r.id AND (o.status IN {_OPEN} OR o.status = 'completed')
     AND NOT (o.status = 'disputed' AND o.status_before_dispute = 'expired')
   GROUP BY r.id
)
SELECT format('requisite %s: open %s/%s, day %s x%s/%s x%s, window %s/%s, total %s/%s (kept/orders)', r.id,
              r.open_orders, s.open, r.day_amount, r.day_count, s.day_amount, s.day_count,
              r.window_amount, s.in_window, r.total_amount, s.total) AS example
  FROM requisite r JOIN told s ON s.id = r.id
 WHERE (r.open_orders, r.total_amount) IS DISTINCT FROM (s.open, s.total)
    OR (r.day_amount, r.day_count) IS DISTINCT FROM (s.day_amount, s.day_count)
    OR r.window_amount <> s.in_window
"""  # noqa: S608 - constants of this module

_PATH = f"""
WITH lawful (direction, step, source, target) AS (VALUES {_lawful_steps()}),
path AS (
  SELECT v.id, v.order_id, v.event, v.from_status, v.to_status, o.direction, o.status,
         lag(v.to_status) OVER w AS before, row_number() OVER w AS nth,
         row_number() OVER (PARTITION BY v.order_id ORDER BY v.id DESC) AS nth_last
    FROM order_event v JOIN orders o ON o.id = v.order_id WHERE v.event NOT IN {_STILL} WINDOW w AS (PARTITION BY v.order_id ORDER BY v.id)
)
SELECT format('order %s: %s, %s -> %s after %s', p.order_id, p.event, p.from_status, p.to_status, p.before) AS example
  FROM path p
 WHERE (p.nth = 1 AND (p.event <> '{Step.CREATED.value}' OR p.from_status IS NOT NULL))
    OR (p.nth > 1 AND p.from_status IS DISTINCT FROM p.before)
    OR (p.nth > 1 AND NOT EXISTS (
          SELECT 1 FROM lawful l WHERE l.direction = p.direction AND l.step = p.event
             AND l.source = p.from_status AND l.target = p.to_status))
    OR (p.nth_last = 1 AND p.to_status <> p.status)
"""  # noqa: S608 - the transition table's own values
_NO_PATH = """
SELECT format('order %s has no timeline', o.id) AS example FROM orders o
 WHERE NOT EXISTS (SELECT 1 FROM order_event v WHERE v.order_id = o.id)
"""

_REASON = f"""
SELECT format('order %s is %s because of %s, by its last step of %s', o.id, o.status, o.status_reason, v.reason) AS example
  FROM (SELECT DISTINCT ON (order_id) order_id, reason FROM order_event WHERE event NOT IN {_STILL} ORDER BY order_id, id DESC) v
  JOIN orders o ON o.id = v.order_id WHERE v.reason IS DISTINCT FROM o.status_reason
"""  # noqa: S608 - constants of this module

_TOLD = f"""
SELECT format('order %s is %s and nobody was told', o.id, o.status) AS example
  FROM orders o
 WHERE o.status IN {sql_list(ENDED)}
   AND NOT EXISTS (SELECT 1 FROM event v WHERE v.subject_kind = 'order' AND v.subject_id = o.id
        AND v.type = CASE WHEN o.direction = 'payin' THEN 'order.' ELSE 'payout.' END || o.status)
"""  # noqa: S608

_ASSIGNED = f"""
SELECT format('order %s is %s with requisite %s of trader %s', o.id, o.status, o.requisite_id, o.trader_id) AS example
  FROM orders o LEFT JOIN requisite r ON r.id = o.requisite_id
 WHERE (o.status IN {_OPEN} AND o.requisite_id IS NULL)
    OR (o.requisite_id IS NOT NULL AND (r.trader_id IS DISTINCT FROM o.trader_id OR r.mode <> o.mode))
"""  # noqa: S608 - constants of this module

_EXPOSURE = """
SELECT format('store %s (%s, %s): open %s/%s, claimed %s/%s (kept/orders)', store_id, mode, currency, coalesce(k.open, 0),
              coalesce(o.open, 0), coalesce(k.claimed, 0), coalesce(o.claimed, 0)) AS example
  FROM (SELECT store_id, mode, currency, sum(open_minor) AS open, sum(claimed_minor) AS claimed
          FROM exposure GROUP BY 1, 2, 3) k
  FULL JOIN (SELECT store_id, mode, settlement_currency AS currency, sum(hold_minor) AS open,
                    sum(hold_minor) FILTER (WHERE status IN ('awaiting_confirmation', 'disputed')
                                             AND claimed_at IS NOT NULL) AS claimed
               FROM orders WHERE direction = 'payin' AND hold_minor > 0 GROUP BY 1, 2, 3) o USING (store_id, mode, currency)
 WHERE (coalesce(k.open, 0), coalesce(k.claimed, 0)) <> (coalesce(o.open, 0), coalesce(o.claimed, 0))
"""

# What has been given back is given back no more. A database's clock that was set back by less than `outage_threshold_s`,
# a day at most, leaves a moment that is as much ahead; one that was set back further leaves the last beat ahead as well,
# until the house's clock corrects both.
_AHEAD = """
SELECT format('silences are given back until %s', given_back_until) AS example FROM heartbeat
 WHERE given_back_until > greatest(beat_at, clock_timestamp()) + interval '25 hours'
"""

CHECKS = (
    Check(
        "every trader's held deposit equals the holds of their payins",
        _HELD % {"owner": "trader", "direction": "payin"},
    ),
    Check(
        "every store's held balance equals the holds of its payouts",
        _HELD % {"owner": "store", "direction": "payout"},
    ),
    Check("a completed order has one completion, any other order none", _COMPLETIONS),
    Check("every order's hold equals its postings", _HOLDS),
    Check("every requisite's counters equal its orders", _COUNTERS),
    Check("every store's exposure equals the holds of its payins", _EXPOSURE),
    Check("every order's requisite is of its trader and mode", _ASSIGNED),
    Check("every order's timeline is lawful and without gaps", _PATH),
    Check("every order has a timeline", _NO_PATH),
    Check("every order's reason is that of its last step", _REASON),
    Check("every end of an order was told", _TOLD),
    *TOLD_CHECKS,
    Check("no silence is given back before it was", _AHEAD),
    *SETTLEMENT_CHECKS,
    *RATE_CHECKS,
)
