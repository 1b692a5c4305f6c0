"""Every order's frozen rate was in force: the history of rates holds it, with a spread that the pair had.

Orders are priced at `rate_pair`, which whoever may change rows could change. The history is kept for ever.
"""

from __future__ import annotations

from portal.core.money import BPS
from portal.ledger.integrity import Check


def with_spread_sql(raw: str, bps: str, direction: str) -> str:
    """portal.reference.queries.with_spread() as an expression; exact."""
    payin = f"div({raw}::numeric * ({BPS} + {bps}) + {BPS - 1}, {BPS})"
    payout = f"greatest(1, div({raw}::numeric * ({BPS} - {bps}), {BPS}))"
    return f"CASE {direction} WHEN 'payin' THEN {payin} ELSE {payout} END"


# The spread may have changed since the rate was observed: the audit log has each one that was set. Rates set by hand in
# earlier releases were noted in the history some moments after the time that their orders have.
# OFFSET keeps it one look-up by index for each rate that was used, in a history with one row a minute too.
RATED = f"""
WITH used AS MATERIALIZED (
  SELECT currency, settlement_currency, direction, rate_micros, rate_source, rate_at, count(*) AS n, min(id::text) AS id
    FROM orders GROUP BY 1, 2, 3, 4, 5, 6
), spread AS MATERIALIZED (
  SELECT DISTINCT a.subject_id AS pair, s.bps
    FROM audit_entry a CROSS JOIN LATERAL (VALUES (a.before -> 'spread_bps'), (a.after -> 'spread_bps')) v (told)
   CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(told) WHEN 'number' THEN told::numeric END AS bps) s
   WHERE a.action = 'rate.terms_changed' AND a.subject_kind = 'rate_pair' AND s.bps BETWEEN 0 AND {BPS}
)
SELECT format('order %s, and %s more at it: %s micros %s/%s (%s) from %s at %s was never in force', u.id, u.n - 1,
              u.rate_micros, u.currency, u.settlement_currency, u.direction, u.rate_source, u.rate_at) AS example
  FROM used u
 WHERE NOT EXISTS (
   SELECT FROM rate_history h
    WHERE h.base = u.settlement_currency AND h.quote = u.currency AND h.accepted AND h.source = u.rate_source
      AND h.observed_at BETWEEN u.rate_at AND least(u.rate_at, '9999-01-01') + interval '5 s'
      AND (u.rate_micros = CASE u.direction WHEN 'payin' THEN h.payin_micros ELSE h.payout_micros END
           OR EXISTS (SELECT FROM spread s WHERE s.pair = h.quote || '/' || h.base
                         AND u.rate_micros = {with_spread_sql("h.raw_micros", "s.bps", "u.direction")}))
   OFFSET 0)
"""  # noqa: S608 - expressions of this module

CHECKS = (Check("every order's rate was in force: the history of rates holds it", RATED),)
