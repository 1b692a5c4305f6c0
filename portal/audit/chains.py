"""What is chained with a key that is not in the database, and what of each row is sealed.

A row's image is a JSON array as text; its SHA-256 is what a link holds. What changes lawfully later is no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST = b"\0" * 32


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain. `rows` gives `id`, `at` and `image` of each row of its table, aliased as the condition names it.

    `key` is the id's expression there. `is_uuid`: ids are given out by programs' clocks, not by `sequence` of the
    database. An image of NULL is a row whose sealed part was lawfully forgotten.
    """

    name: str
    title: str
    rows: str
    key: str
    sequence: str = ""
    is_uuid: bool = False

    @property
    def column(self) -> str:
        return "uuids" if self.is_uuid else "ids"


def _time(column: str) -> str:
    """A time that reads the same whatever zone and style a session has."""
    return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"


# Frozen from the first moment on (a recipient apart: they may be forgotten, and have a chain of their own).
_TERMS = f"""jsonb_build_array(o.id, o.mode, o.direction, o.store_id, o.external_id, o.amount_minor, o.currency,
    o.settlement_currency, o.rate_micros, o.rate_source, {_time("o.rate_at")}, o.store_fee_bps, o.fixed_fee_minor,
    o.trader_commission_bps, o.lead_commission_bps, o.customer_ref, o.recipient_masked, {_time("o.created_at")})"""
# What a completed order was settled with and through whom.
_RESULT = """jsonb_build_array(o.amount_received_minor, o.settlement_minor, o.fee_minor, o.trader_id, o.requisite_id,
    o.requisite_bank, o.requisite_masked, o.requisite_holder)"""

LEDGER = Chain(
    "ledger",
    "every entry of the ledger, with its postings and its order's terms, is what was sealed",
    f"""SELECT e.id, e.created_at AS at, jsonb_build_array(e.id, e.kind, e.mode, e.subject_kind, e.subject_id, e.round,
         e.reverses_entry_id, e.actor_kind, e.actor_id, e.reason, {_time("e.created_at")},
         (SELECT jsonb_agg(jsonb_build_array(p.id, p.account_id, p.currency, p.mode, p.amount, p.balance_after) ORDER BY p.id)
            FROM ledger_posting p WHERE p.entry_id = e.id),
         CASE WHEN o.id IS NOT NULL THEN {_TERMS} END,
         CASE WHEN e.kind IN ('payin_completed', 'payout_completed') THEN {_RESULT} END)::text AS image
    FROM ledger_entry e LEFT JOIN orders o ON o.id = e.subject_id AND e.subject_kind = 'order'""",  # noqa: S608 - our own columns
    "e.id",
    "ledger_entry_id_seq",
)
TIMELINE = Chain(
    "timeline",
    "every step of an order's timeline, the first with the order's terms, is what was sealed",
    f"""SELECT v.id, v.at, jsonb_build_array(v.order_id, v.id, v.event, v.from_status, v.to_status, v.actor_kind, v.actor_id,
         v.reason, {_time("v.at")}, CASE WHEN v.event = 'created' THEN {_TERMS} END)::text AS image
    FROM order_event v LEFT JOIN orders o ON o.id = v.order_id""",  # noqa: S608 - our own columns
    "v.id",
    "order_event_id_seq",
)
# NULL once the recipient of an ended order was forgotten.
RECIPIENTS = Chain(
    "recipients",
    "every payout's recipient is what was sealed, or forgotten",
    """SELECT v.id, v.at, CASE WHEN o.recipient_holder IS NULL AND o.recipient_number_index IS NULL
              AND o.recipient_number_encrypted IS NULL AND o.ended_at IS NOT NULL THEN NULL ELSE
         jsonb_build_array(o.id, o.recipient_holder, encode(o.recipient_number_index, 'hex'), o.method, o.bank)::text END AS image
    FROM order_event v JOIN orders o ON o.id = v.order_id AND o.direction = 'payout' AND v.event = 'created'""",
    "v.id",
    "order_event_id_seq",
)
# Without the recipient's name, which is forgotten here as well.
OUTBOX = Chain(
    "outbox",
    "every event of the outbox is what was sealed",
    f"""SELECT x.id, x.created_at AS at, jsonb_build_array(x.id, x.type, x.mode, x.store_id, x.trader_id, x.subject_kind,
         x.subject_id, x.version, x.sequence, x.requisite_id, x.data #- '{{recipient,holder}}', {_time("x.created_at")})::text AS image
    FROM event x""",  # noqa: S608 - our own columns
    "x.id",
    is_uuid=True,
)
CHANGES = Chain(
    "changes",
    "every noted change of access, requisites, settings and terms is what was sealed",
    f"""SELECT c.id, c.at, jsonb_build_array(c.id, {_time("c.at")}, c.table_name, c.row_key, encode(c.digest, 'hex'))::text
         AS image FROM change_image c""",  # noqa: S608 - our own columns
    "c.id",
    "change_image_id_seq",
)
AUDIT = Chain(
    "audit",
    "every entry of the audit log is what was sealed with a key",
    f"""SELECT a.id, a.at, jsonb_build_array(a.id, {_time("a.at")}, a.actor_kind, a.actor_id, a.action, a.subject_kind,
         a.subject_id, a.before, a.after, a.reason, host(a.ip), a.user_agent, a.request_id, a.session_id)::text AS image
    FROM audit_entry a""",  # noqa: S608 - our own columns
    "a.id",
    "audit_entry_id_seq",
)
MONEY = (LEDGER, TIMELINE, RECIPIENTS, OUTBOX)
POWER = (AUDIT, CHANGES)
CHAINS = (*MONEY, *POWER)

DIGEST = "sha256(convert_to({image}, 'UTF8'))"
