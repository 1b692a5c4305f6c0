"""Every order's price, holds and settlement, computed again from its frozen terms and compared with the ledger.

The same rules as portal.orders.pricing and portal.ledger.entries, as SQL over the whole history: one statement reads
millions of orders. A test compares both over drawn terms. Nothing here calls a function of the database's own, which
whoever changes rows could have changed too.
"""

from __future__ import annotations

from portal.core.money import BPS, RATE_SCALE
from portal.ledger.integrity import Check


def settlement_sql(amount: str, rate: str, exponent: str, settlement_exponent: str) -> str:
    """pricing.settlement_of() as an expression: half-even, exact."""
    above = f"({amount}::numeric * {RATE_SCALE} * power(10::numeric, {settlement_exponent}))"
    below = f"({rate}::numeric * power(10::numeric, {exponent}))"
    whole = f"div({above}, {below})"
    twice = f"2 * ({above} - {whole} * {below})"
    up = f"({twice} > {below} OR ({twice} = {below} AND mod({whole}, 2) = 1))"
    return f"({whole} + CASE WHEN {up} THEN 1 ELSE 0 END)::bigint"


def share_sql(amount: str, bps: str) -> str:
    """money.share_half_up() as an expression."""
    return f"div({amount}::numeric * {bps} * 2 + {BPS}, {2 * BPS})::bigint"


def commission_sql(whose: str, fee: str, amount: str = "w.due") -> str:
    """pricing.commissions_of() as an expression over an order `o`, for the `trader` or the `lead`."""
    trader, lead = share_sql(amount, "o.trader_commission_bps"), share_sql(amount, "o.lead_commission_bps")
    since = [
        f"(mod({amount}::numeric * o.{mine}_commission_bps, {BPS}) - {BPS // 2}) * o.{other}_commission_bps"
        for mine, other in (("trader", "lead"), ("lead", "trader"))
    ]
    is_over = (
        f"{trader} + {lead} > {fee} AND o.trader_commission_bps + o.lead_commission_bps <= o.store_fee_bps"
    )
    waits = f"{since[0]} < {since[1]}" if whose == "trader" else f"{since[0]} >= {since[1]}"
    return f"({trader if whose == 'trader' else lead} - CASE WHEN {is_over} AND {waits} THEN 1 ELSE 0 END)"


_FEE = f"({share_sql('w.due', 'o.store_fee_bps')} + o.fixed_fee_minor)"
# `asked` is what the order's amount is worth; `due` what was settled: of what was received, where that differs.
_WORTH = f"""
worth AS (
  SELECT o.id, {settlement_sql("o.amount_minor", "o.rate_micros", "c.exponent", "s.exponent")} AS asked,
         {settlement_sql("x.fiat", "o.rate_micros", "c.exponent", "s.exponent")} AS due, x.fiat
    FROM orders o JOIN currency c ON c.code = o.currency JOIN currency s ON s.code = o.settlement_currency
   CROSS JOIN LATERAL (SELECT CASE WHEN o.direction = 'payin' AND o.status = 'completed'
                                   THEN coalesce(o.amount_received_minor, o.amount_minor) ELSE o.amount_minor END AS fiat) x
), split AS (
  SELECT w.*, {_FEE} AS fee,
         {commission_sql("trader", _FEE)} AS trader_part, {commission_sql("lead", _FEE)} AS lead_part
    FROM worth w JOIN orders o ON o.id = w.id
)
"""  # noqa: S608 - expressions of this module

PRICED = f"""
WITH {_WORTH}
SELECT format('order %s: %s settled with a fee of %s, its terms say %s with %s', o.id, o.settlement_minor, o.fee_minor,
              s.due, s.fee) AS example
  FROM orders o LEFT JOIN split s ON s.id = o.id
 WHERE (o.settlement_minor, o.fee_minor) IS DISTINCT FROM (s.due, s.fee)
    OR (o.direction = 'payout' AND o.amount_received_minor IS NOT NULL)
"""  # noqa: S608 - expressions of this module

# Whose account of which kind a posting of an order may touch; anything else is `strange`.
_PLACES = {
    "store": "a.owner_kind = 'store' AND a.owner_id = o.store_id AND a.kind = 'available'",
    "store_held": "a.owner_kind = 'store' AND a.owner_id = o.store_id AND a.kind = 'held'",
    "trader": "a.owner_kind = 'trader' AND a.owner_id = o.trader_id AND a.kind = 'available'",
    "trader_held": "a.owner_kind = 'trader' AND a.owner_id = o.trader_id AND a.kind = 'held'",
    "lead": "a.owner_kind = 'lead' AND a.kind = 'available'",
    "platform": "a.owner_kind = 'platform' AND a.kind = 'revenue'",
}
_CASH = {
    "cash": "a.owner_kind = 'trader' AND a.owner_id = o.trader_id AND a.kind = 'fiat'",
    "world": "a.owner_kind = 'world' AND a.kind = 'fiat'",
}
_PLACED = {name: f"{place} AND a.currency = o.settlement_currency" for name, place in _PLACES.items()} | {
    name: f"{place} AND a.currency = o.currency" for name, place in _CASH.items()
}
_SUMS = ",\n         ".join(
    f"coalesce(sum(p.amount) FILTER (WHERE {place}), 0)::bigint AS {name}" for name, place in _PLACED.items()
)
_KNOWN = " OR ".join(f"({place})" for place in _PLACED.values())

# A trader without a lead: the lead's part is the platform's.
SETTLED = f"""
WITH {_WORTH}, moved AS (
  SELECT e.id AS entry_id, o.id, o.direction,
         {_SUMS},
         count(*) FILTER (WHERE ({_KNOWN}) IS NOT TRUE OR a.mode <> o.mode) AS strange,
         count(DISTINCT a.id) FILTER (WHERE a.owner_kind = 'lead') AS leads
    FROM ledger_entry e JOIN orders o ON o.id = e.subject_id
    JOIN ledger_posting p ON p.entry_id = e.id JOIN ledger_account a ON a.id = p.account_id
   WHERE e.kind IN ('payin_completed', 'payout_completed')
   GROUP BY e.id, o.id
)
SELECT format('order %s, entry %s: store %s, trader %s, lead %s, platform %s, cash %s, %s of other accounts',
              m.id, m.entry_id, m.store, m.trader, m.lead, m.platform, m.cash, m.strange) AS example
  FROM moved m JOIN split s ON s.id = m.id
 WHERE m.strange > 0 OR m.leads > 1 OR m.world <> -m.cash
    OR m.lead <> CASE WHEN m.leads = 1 THEN s.lead_part ELSE 0 END
    OR m.platform <> s.fee - s.trader_part - m.lead
    OR (m.store, m.store_held, m.trader, m.trader_held, m.cash) IS DISTINCT FROM
       CASE m.direction
         WHEN 'payin' THEN (s.due - s.fee, 0::bigint, s.trader_part - s.due - m.trader_held, m.trader_held, s.fiat)
         ELSE (0::bigint, -s.due - s.fee, s.due + s.trader_part, 0::bigint, -s.fiat) END
"""  # noqa: S608 - expressions of this module

# A payin is held anew for what came when it was paid after its hold had gone back: then in its last round.
HELD = f"""
WITH {_WORTH}, moved AS (
  SELECT e.id AS entry_id, o.id, e.kind, e.round, min(a.owner_id::text) AS owner, max(a.owner_id::text) AS other,
         coalesce(sum(p.amount) FILTER (WHERE a.kind = 'available'), 0)::bigint AS available,
         coalesce(sum(p.amount) FILTER (WHERE a.kind = 'held'), 0)::bigint AS held,
         count(*) FILTER (WHERE a.owner_kind <> (CASE o.direction WHEN 'payin' THEN 'trader' ELSE 'store' END)
                             OR a.kind NOT IN ('available', 'held') OR a.currency <> o.settlement_currency
                             OR a.mode <> o.mode) AS strange
    FROM ledger_entry e JOIN orders o ON o.id = e.subject_id
    JOIN ledger_posting p ON p.entry_id = e.id JOIN ledger_account a ON a.id = p.account_id
   WHERE e.kind IN ('payin_matched', 'payin_released', 'payout_created', 'payout_released')
   GROUP BY e.id, o.id
)
SELECT format('order %s, entry %s (%s): available %s, held %s, %s of other accounts', m.id, m.entry_id, m.kind,
              m.available, m.held, m.strange) AS example
  FROM moved m JOIN orders o ON o.id = m.id JOIN split s ON s.id = m.id
  LEFT JOIN moved taken ON m.kind = 'payin_released' AND taken.id = m.id AND taken.kind = 'payin_matched'
   AND taken.round = m.round
 WHERE m.strange > 0 OR m.owner <> m.other OR m.available <> -m.held
    OR m.held IS DISTINCT FROM CASE m.kind
         WHEN 'payin_matched' THEN
           CASE WHEN o.status = 'completed' AND m.round = o.round AND m.held = s.due THEN s.due ELSE s.asked END
         WHEN 'payin_released' THEN -taken.held
         WHEN 'payout_created' THEN s.due + s.fee
         ELSE -s.due - s.fee END
    OR CASE m.kind
         WHEN 'payin_matched' THEN m.owner IS DISTINCT FROM o.trader_id::text AND NOT EXISTS (
              SELECT 1 FROM past_assignment h WHERE h.order_id = o.id AND h.trader_id::text = m.owner)
         WHEN 'payin_released' THEN m.owner IS DISTINCT FROM taken.owner
         ELSE m.owner IS DISTINCT FROM o.store_id::text END
"""  # noqa: S608 - expressions of this module

_OF_ORDERS = "'payin_matched', 'payin_released', 'payin_completed', 'payout_created', 'payout_released', 'payout_completed'"
BELONGS = f"""
SELECT format('entry %s (%s) is about %s %s', e.id, e.kind, e.subject_kind, e.subject_id) AS example
  FROM ledger_entry e LEFT JOIN orders o ON o.id = e.subject_id AND o.mode = e.mode AND e.subject_kind = 'order'
 WHERE (e.kind IN ({_OF_ORDERS}) AND (o.id IS NULL OR split_part(e.kind, '_', 1) <> o.direction))
    OR (e.kind NOT IN ({_OF_ORDERS}, 'reversal') AND e.subject_kind = 'order')
"""  # noqa: S608 - constants of this module

CHECKS = (
    Check("every order's price follows from its frozen rate and fees", PRICED),
    Check("every settlement follows from its order's frozen terms, to the accounts of its people", SETTLED),
    Check("every hold and release follows from its order's frozen terms", HELD),
    Check("every entry of an order is of a kind that its direction has", BELONGS),
)
