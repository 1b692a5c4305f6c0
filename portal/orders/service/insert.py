"""The one statement that writes a new order with everything that belongs to it."""

from __future__ import annotations

from portal.core.idempotency import STORE_COLUMNS
from portal.ledger.service import POST_SQL
from portal.orders.record import FIELDS

_COLUMNS = ", ".join("metadata" if name == "order_metadata" else name for name in FIELDS)
_VALUES = ", ".join(f"%({name})s" for name in FIELDS)

# The ledger's function runs last, under the requisite that the match has locked: order, requisite, accounts.
INSERT_ORDER = f"""
WITH placed AS (
  INSERT INTO orders ({_COLUMNS}) VALUES ({_VALUES}) RETURNING id
), step AS (
  INSERT INTO order_event (order_id, event, from_status, to_status, actor_kind, actor_id, reason)
  SELECT placed.id, s.event, s.source, s.target, %(actor_kind)s, %(actor_id)s::uuid, %(status_reason)s::text
    FROM placed, unnest(%(steps)s::text[], %(steps_from)s::text[], %(steps_to)s::text[]) AS s (event, source, target)
), told AS (
  INSERT INTO event (id, type, mode, store_id, trader_id, subject_kind, subject_id, version, requisite_id, data)
  SELECT t.id, t.type, %(mode)s, %(store_id)s::uuid, %(trader_id)s::uuid, 'order', placed.id, %(version)s, %(requisite_id)s::uuid,
         %(event_data)s::jsonb
    FROM placed, unnest(%(event_ids)s::uuid[], %(event_types)s::text[]) AS t (id, type)
), key AS (
  INSERT INTO idempotency_key ({STORE_COLUMNS})
  SELECT %(store_id)s::uuid, %(mode)s, %(key_path)s::text, %(key)s::text, %(key_fingerprint)s::bytea, 201, %(key_body)s::bytea
    FROM placed WHERE %(key)s::text IS NOT NULL
)
SELECT CASE WHEN %(entry_kind)s::text IS NOT NULL THEN {POST_SQL} END AS entry_id FROM placed
"""  # noqa: S608 - built once from constants
