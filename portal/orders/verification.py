"""Orders against the ledger, the limits and their own history: each check is a query that must find nothing."""

from __future__ import annotations

from portal.ledger.verification import Check

# ruff: noqa: S608 - built from constants of this module, no input

_ASSIGNED = "('awaiting_payment', 'awaiting_payout', 'awaiting_confirmation', 'disputed')"
_COUNTS = f"(o.status = 'completed' OR o.status IN {_ASSIGNED})"

CHECKS = (
    Check(
        "what is held of a trader equals the holds of their open payins",
        "SELECT format('trader %s %s: held %s, orders %s', a.owner_id, a.mode, a.balance, coalesce(s.total, 0)) AS example"
        " FROM ledger_account a LEFT JOIN (SELECT trader_id, mode, settlement_currency, sum(hold_minor) AS total"
        "   FROM orders WHERE direction = 'payin' AND hold_minor > 0 GROUP BY trader_id, mode, settlement_currency) s"
        "   ON s.trader_id = a.owner_id AND s.mode = a.mode AND s.settlement_currency = a.currency"
        " WHERE a.owner_kind = 'trader' AND a.kind = 'held' AND a.balance <> coalesce(s.total, 0)",
    ),
    Check(
        "what is held of a store equals the holds of its open payouts",
        "SELECT format('store %s %s: held %s, orders %s', a.owner_id, a.mode, a.balance, coalesce(s.total, 0)) AS example"
        " FROM ledger_account a LEFT JOIN (SELECT store_id, mode, settlement_currency, sum(hold_minor) AS total"
        "   FROM orders WHERE direction = 'payout' AND hold_minor > 0 GROUP BY store_id, mode, settlement_currency) s"
        "   ON s.store_id = a.owner_id AND s.mode = a.mode AND s.settlement_currency = a.currency"
        " WHERE a.owner_kind = 'store' AND a.kind = 'held' AND a.balance <> coalesce(s.total, 0)",
    ),
    Check(
        "a completed order has exactly one completion entry that is not reversed, any other order none",
        "SELECT format('order %s (%s): %s completions', o.id, o.status, coalesce(c.n, 0)) AS example"
        " FROM orders o LEFT JOIN (SELECT e.subject_id, count(*) AS n FROM ledger_entry e"
        "   WHERE e.kind IN ('payin_completed', 'payout_completed')"
        "     AND NOT EXISTS (SELECT 1 FROM ledger_entry r WHERE r.reverses_entry_id = e.id)"
        "   GROUP BY e.subject_id) c ON c.subject_id = o.id"
        " WHERE coalesce(c.n, 0) <> CASE WHEN o.status = 'completed' THEN 1 ELSE 0 END",
    ),
    Check(
        "every entry about an order belongs to an order of its mode",
        "SELECT format('entry %s', e.id) AS example FROM ledger_entry e"
        " LEFT JOIN orders o ON o.id = e.subject_id AND o.mode = e.mode"
        " WHERE e.subject_kind = 'order' AND o.id IS NULL",
    ),
    Check(
        "a requisite's open orders are those that orders say",
        "SELECT format('requisite %s: counted %s, orders %s', r.id, r.open_orders, coalesce(s.n, 0)) AS example"
        " FROM requisite r LEFT JOIN (SELECT o.requisite_id, count(*) AS n FROM orders o"
        f"   WHERE o.status IN {_ASSIGNED} GROUP BY o.requisite_id) s ON s.requisite_id = r.id"
        " WHERE r.open_orders <> coalesce(s.n, 0)",
    ),
    Check(
        "a requisite's day is what that day's orders say",
        "SELECT format('requisite %s: counted %s in %s, orders %s in %s', r.id, r.day_amount, r.day_count,"
        "   coalesce(s.total, 0), coalesce(s.n, 0)) AS example"
        " FROM requisite r LEFT JOIN LATERAL (SELECT sum(o.amount_minor) AS total, count(*) AS n FROM orders o"
        f"   WHERE o.requisite_id = r.id AND o.counted_day = r.day AND {_COUNTS}) s ON true"
        " WHERE r.day_amount <> coalesce(s.total, 0) OR r.day_count <> coalesce(s.n, 0)",
    ),
    Check(
        "a requisite's window and total are what orders say",
        "SELECT format('requisite %s: window %s and %s, total %s and %s', r.id, r.window_amount, s.in_window,"
        "   r.total_amount, s.total) AS example"
        " FROM requisite r LEFT JOIN LATERAL (SELECT coalesce(sum(o.amount_minor), 0) AS total,"
        "     coalesce(sum(o.amount_minor) FILTER (WHERE o.window_leaves_at IS NOT NULL), 0) AS in_window"
        f"   FROM orders o WHERE o.requisite_id = r.id AND {_COUNTS}) s ON true"
        " WHERE r.total_amount <> s.total OR r.window_amount <> s.in_window",
    ),
    Check(
        "every order's timeline is one lawful chain that ends where the order is",
        "SELECT format('order %s: %s after %s', t.order_id, t.from_status, t.before) AS example FROM ("
        "   SELECT order_id, from_status, lag(to_status) OVER (PARTITION BY order_id ORDER BY id) AS before"
        "     FROM order_event) t WHERE t.from_status IS DISTINCT FROM t.before"
        " UNION ALL SELECT format('order %s is %s, its timeline says %s', o.id, o.status, last.to_status)"
        " FROM orders o LEFT JOIN LATERAL (SELECT to_status FROM order_event e WHERE e.order_id = o.id"
        "   ORDER BY e.id DESC LIMIT 1) last ON true WHERE last.to_status IS DISTINCT FROM o.status",
    ),
    Check(
        "every order that ended has told so",
        "SELECT format('order %s: no event for %s', o.id, o.status) AS example FROM orders o"
        " WHERE o.status IN ('completed', 'cancelled', 'failed') AND NOT EXISTS (SELECT 1 FROM event v"
        "   WHERE v.subject_id = o.id AND v.type LIKE '%.' || o.status)",
    ),
    Check(
        "no order waits past a deadline that nobody acts on",
        "SELECT format('order %s: %s was due at %s', o.id, o.status, o.due_at) AS example FROM orders o"
        " WHERE o.due_at < now() - interval '15 minutes'",
    ),
)
