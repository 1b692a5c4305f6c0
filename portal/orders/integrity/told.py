"""Every order is what was told of it, and what was told went to its store's endpoint.

An event holds the order as it was then, and is sealed. So what no chain holds of an order is compared with its events,
times to the millisecond in which they are told. Nothing here calls a function of the database's own.
"""

from __future__ import annotations

from portal.audit.chain_links import IS_TIME
from portal.audit.chain_sealing import STILL_EVERY_S
from portal.audit.chains import CHANGES, OUTBOX
from portal.ledger.integrity import Check
from portal.orders.models import ENDED, sql_list

# What the house lets nobody change, and a method that is chosen before anything is told.
_LASTING = ("method", "bank", "return_url", "description", "locale")
_TOLD = ", ".join(f"v.data ->> '{name}'" for name in _LASTING)
_KEPT = ", ".join(f"o.{name}" for name in _LASTING)


def told_moment_sql(column: str) -> str:
    """representation.moment() as an expression."""
    return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"


# An order is told in the moment in which its step is taken: the time of a claim or an end is that of its event.
SAME = f"""
SELECT format('order %s: %s, %s', o.id, v.type, CASE
         WHEN ({_TOLD}, v.data -> 'metadata') IS DISTINCT FROM ({_KEPT}, o.metadata) THEN 'with other terms'
         ELSE format('at %s', v.data ->> 'updated_at') END) AS example
  FROM event v JOIN orders o ON o.id = v.subject_id
 WHERE v.subject_kind = 'order' AND (
       ({_TOLD}, v.data -> 'metadata') IS DISTINCT FROM ({_KEPT}, o.metadata)
    OR (v.type = 'order.claimed' AND v.data ->> 'updated_at' IS DISTINCT FROM {told_moment_sql("o.claimed_at")})
    OR (o.status IN {sql_list(ENDED)} AND v.data ->> 'updated_at' IS DISTINCT FROM {told_moment_sql("o.ended_at")}
        AND v.type = CASE WHEN o.direction = 'payin' THEN 'order.' ELSE 'payout.' END || o.status))
 UNION ALL
SELECT format('order %s is %s and ended at %s', o.id, o.status, o.ended_at) FROM orders o
 WHERE o.ended_at IS NOT NULL AND o.status NOT IN {sql_list(ENDED)}
 UNION ALL
SELECT format('order %s was claimed at %s, and nobody was told', o.id, o.claimed_at) FROM orders o
 WHERE o.claimed_at IS NOT NULL AND NOT EXISTS (
       SELECT 1 FROM event v WHERE v.subject_kind = 'order' AND v.subject_id = o.id AND v.type = 'order.claimed')
"""  # noqa: S608 - constants of this house

# Whoever was given an order and has it no more is remembered, with the reason of a step that took it away.
REMEMBERED = """
SELECT format('order %s: requisite %s of trader %s is not remembered', o.id, v.requisite_id, v.trader_id) AS example
  FROM event v JOIN orders o ON o.id = v.subject_id
 WHERE v.subject_kind = 'order' AND v.type = 'order.matched' AND v.requisite_id IS DISTINCT FROM o.requisite_id
   AND NOT EXISTS (SELECT 1 FROM past_assignment h
        WHERE (h.order_id, h.requisite_id, h.trader_id) = (o.id, v.requisite_id, v.trader_id))
 UNION ALL
SELECT format('order %s: requisite %s of trader %s had it never, or lost it otherwise', h.order_id, h.requisite_id,
              h.trader_id)
  FROM past_assignment h
 WHERE NOT EXISTS (SELECT 1 FROM event v WHERE v.subject_kind = 'order' AND v.type = 'order.matched'
        AND (v.subject_id, v.requisite_id, v.trader_id) = (h.order_id, h.requisite_id, h.trader_id))
    OR NOT EXISTS (SELECT 1 FROM order_event s WHERE s.order_id = h.order_id AND s.reason = h.reason
        AND s.event IN ('declined', 'pay_ran_out') AND s.to_status = 'matching')
"""

# An endpoint is looked at from its newest note on: whatever switches it or points it elsewhere leaves one. Which came
# first, note or event, a database's clock that was moved can't tell. The links of the sealer can: it writes one every so
# often with nothing to seal, and what is sealed was committed. An event counts when both its time and that of its link
# are later by more than that pause than every link up to the note's: then whoever handed it on saw the endpoint as it
# stands. What is not sealed yet is looked at next time.
_SURE_S = STILL_EVERY_S * 3 // 2
ARRIVED = f"""
WITH links AS MATERIALIZED (
  SELECT ids, max(sealed_at) OVER (ORDER BY sequence) AS until FROM chain_link WHERE chain = '{CHANGES.name}' AND {IS_TIME}
), notes AS MATERIALIZED (
  SELECT max(id) AS id, row_key, max(at) AS at FROM change_image WHERE table_name = 'webhook_endpoint' GROUP BY row_key
), standing AS MATERIALIZED (
  SELECT e.id, e.store_id, e.mode, e.event_types, greatest(l.until, n.at) + interval '{_SURE_S} s' AS since
    FROM (SELECT until, unnest(ids) AS id FROM links) l JOIN notes n ON n.id = l.id
    JOIN webhook_endpoint e ON e.id::text = n.row_key AND e.disabled_at IS NULL AND e.deleted_at IS NULL
)
SELECT format('event %s (%s) was handed on, and endpoint %s has no delivery', v.id, v.type, e.id) AS example
  FROM standing e JOIN event v ON v.store_id = e.store_id AND v.mode = e.mode AND v.created_at > e.since
 WHERE v.state = 'done' AND v.type <> 'endpoint.verification'
   AND (e.event_types IS NULL OR v.type = ANY(e.event_types) OR v.type = 'endpoint.test')
   AND NOT EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.endpoint_id = e.id AND d.event_id = v.id)
   AND EXISTS (SELECT 1 FROM chain_link k WHERE k.chain = '{OUTBOX.name}' AND k.high_key >= v.id::text
        AND k.low_key <= v.id::text AND v.id = ANY(k.uuids) AND k.sealed_at > e.since)
 UNION ALL
SELECT format('delivery %s is said to have arrived, and no attempt was answered so', d.id) FROM webhook_delivery d
 WHERE d.state = 'delivered' AND NOT EXISTS (
       SELECT 1 FROM webhook_attempt a WHERE a.delivery_id = d.id AND a.status_code BETWEEN 200 AND 299)
"""  # noqa: S608 - constants of this house

CHECKS = (
    Check("every order is what was told of it", SAME),
    Check("every requisite that lost an order is remembered, and no other", REMEMBERED),
    Check("every event that was handed on has its delivery, and what arrived was answered", ARRIVED),
)
