"""what takes two people has one table; requests for access move there as history

What waits has to be asked for again: its former hash had no key, so that a row could be written in anybody's name. Old code
goes on with `permission_request` and finds nothing waiting there. Going back, waiting requests wait there again; those of other
kinds are lost, and nothing of them was done.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0053"
down_revision = "0052"

_SQL = Path(__file__).resolve().parent.parent / "sql"
_COLUMNS = (
    "kind,subject_kind,subject_id,subject_version,payload,payload_hash,mac,reason,proposed_by,created_at,expires_at,"
    "state,decided_by,decision_reason,ended_at"
)
_TRIGGERS = """
CREATE TRIGGER note_new_approval_request AFTER INSERT OR DELETE ON approval_request
  FOR EACH ROW EXECUTE FUNCTION note_change('id', '{columns}');
CREATE TRIGGER note_changed_approval_request AFTER UPDATE OF {of} ON approval_request
  FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION note_change('id', '{columns}');
"""
_DIGEST = """
sha256(convert_to((SELECT jsonb_object_agg(c, to_jsonb(t) -> c)::text
                     FROM unnest(string_to_array('{columns}', ',')) AS c), 'UTF8'))
"""
# A row that was noted before, by an upgrade that was taken back, is noted anew: it was written anew.
_NOTE = "INSERT INTO change_image (table_name, row_key, digest) SELECT 'approval_request', t.id::text, {digest} FROM approval_request t"
_REASONS = """
SELECT after ->> 'request' AS request, reason FROM audit_entry
 WHERE action IN ('access.approved', 'access.refused') AND reason IS NOT NULL
"""
_BACK = """
DELETE FROM permission_request WHERE id IN (SELECT id FROM approval_request);
INSERT INTO permission_request
       (id, user_id, payload, payload_hash, reason, requested_by, created_at, expires_at, state, decided_by, decided_at)
SELECT id, subject_id::uuid, payload - 'user_id', payload_hash, reason, proposed_by, created_at, expires_at,
       CASE WHEN state IN ('expired', 'stale') THEN 'withdrawn' ELSE state END,
       CASE WHEN state <> 'waiting' THEN coalesce(decided_by, proposed_by) END, ended_at
  FROM approval_request WHERE kind = 'access'
"""


def upgrade() -> None:
    _create()
    reasons = {found["request"]: found["reason"] for found in _rows(_REASONS)}
    moved = [_moved(row, reasons) for row in _rows("SELECT * FROM permission_request ORDER BY id")]
    if moved:
        table = sa.table("approval_request", *(sa.column(name) for name in moved[0]))
        table.c.payload.type = postgresql.JSONB()
        op.bulk_insert(table, moved)
    op.execute(
        "UPDATE permission_request SET state = 'withdrawn', decided_by = requested_by, decided_at = clock_timestamp()"
        " WHERE state = 'waiting'"
    )
    op.execute((_SQL / "0053_approvals.sql").read_text())
    op.execute("SET LOCAL TIME ZONE 'UTC'; SET LOCAL bytea_output = 'hex'")
    old, new = (", ".join(f"{row}.{name}" for name in _COLUMNS.split(",")) for row in ("OLD", "NEW"))
    op.execute(_TRIGGERS.format(columns=_COLUMNS, of=_COLUMNS.replace(",", ", "), old=old, new=new))
    op.execute(_NOTE.format(digest=_DIGEST.format(columns=_COLUMNS)))


def downgrade() -> None:
    # What was changed past the house keeps a hash that fits nothing.
    with_old_hash = [
        {"id": row["id"], "hash": _former_hash(row["subject_id"], _without_user(row["payload"]))}
        for row in _rows("SELECT * FROM approval_request WHERE kind = 'access'")
        if bytes(row["payload_hash"]) == _hash_of(row["subject_id"], row["payload"])
    ]
    op.execute("ALTER TABLE permission_request DISABLE TRIGGER USER")
    op.execute(_BACK)
    if with_old_hash:
        op.get_bind().execute(
            sa.text("UPDATE permission_request SET payload_hash = :hash WHERE id = :id"), with_old_hash
        )
    op.execute("ALTER TABLE permission_request ENABLE TRIGGER USER")
    op.execute("DELETE FROM notification WHERE kind = 'approval_wanted' AND params ->> 'what' <> 'access'")
    op.execute("DELETE FROM mail WHERE kind = 'approval_wanted' AND params ->> 'what' <> 'access'")
    op.execute("ALTER TABLE approval_request DISABLE TRIGGER approval_request_stays")
    op.execute("SET LOCAL TIME ZONE 'UTC'; SET LOCAL bytea_output = 'hex'")
    op.execute("DELETE FROM approval_request")  # so that the notes know that they are gone
    op.drop_table("approval_request")


def _create() -> None:
    op.create_table(
        "approval_request",
        sa.Column("id", sa.UUID(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("kind", "subject_kind", "subject_id", "subject_version")
        ),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.UUID(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("decided_by", sa.UUID(), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'approved', 'refused', 'withdrawn', 'expired', 'stale')",
            name=op.f("ck_approval_request_state"),
        ),
        sa.CheckConstraint("decided_by <> proposed_by", name=op.f("ck_approval_request_another_decides")),
        sa.CheckConstraint(
            "subject_kind <> 'user' OR subject_id NOT IN (proposed_by::text, coalesce(decided_by::text, ''))",
            name=op.f("ck_approval_request_not_about_oneself"),
        ),
        sa.CheckConstraint(
            "(state IN ('approved', 'refused')) = (decided_by IS NOT NULL)",
            name=op.f("ck_approval_request_decided"),
        ),
        sa.CheckConstraint(
            "(state = 'waiting') = (ended_at IS NULL)", name=op.f("ck_approval_request_ended")
        ),
        sa.CheckConstraint(
            "state <> 'approved' OR ended_at <= expires_at", name=op.f("ck_approval_request_in_time")
        ),
        sa.CheckConstraint(
            "octet_length(payload_hash) = 32 AND octet_length(mac) = 32",
            name=op.f("ck_approval_request_hashes"),
        ),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_approval_request_reason")),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name=op.f("fk_approval_request_proposed_by")),
        sa.ForeignKeyConstraint(["decided_by"], ["users.id"], name=op.f("fk_approval_request_decided_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_request")),
    )
    op.create_index("ix_approval_request_state", "approval_request", ["state", "id"])
    op.create_index("ix_approval_request_subject", "approval_request", ["subject_kind", "subject_id"])
    op.create_index(
        "uq_approval_request_waiting",
        "approval_request",
        ["kind", "subject_kind", "subject_id"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
    )


def _rows(sql: str) -> list[dict[str, Any]]:
    return [dict(row) for row in op.get_bind().execute(sa.text(sql)).mappings()]


def _moved(row: dict[str, Any], reasons: dict[str, str]) -> dict[str, Any]:
    """The request as the new table has it, as history: none gets the house's mark.

    Whoever could write rows could make the former hash too. What waited is stale, and has to be asked for again.
    """
    ended_at, state = row["decided_at"], row["state"]
    if state == "waiting":
        state, ended_at = "stale", datetime.now(UTC)
    if state == "withdrawn" and ended_at >= row["expires_at"]:
        state = "expired"  # the former release noted it as withdrawn when the next was asked for
    payload = {"user_id": str(row["user_id"]), **row["payload"]}
    is_whole = bytes(row["payload_hash"]) == _former_hash(str(row["user_id"]), row["payload"])
    return {
        "id": row["id"],
        "kind": "access",
        "subject_kind": "user",
        "subject_id": str(row["user_id"]),
        "subject_version": "",
        "payload": payload,
        "payload_hash": _hash_of(str(row["user_id"]), payload) if is_whole else b"\0" * 32,
        "mac": b"\0" * 32,
        "reason": row["reason"] or "-",
        "proposed_by": row["requested_by"],
        "created_at": row["created_at"],
        "expires_at": row["expires_at"],
        "state": state,
        "decided_by": row["decided_by"] if state in {"approved", "refused"} else None,
        "decision_reason": reasons.get(str(row["id"])),
        "ended_at": min(ended_at, row["expires_at"]) if state == "approved" else ended_at,
    }


def _hash_of(user_id: str, payload: dict[str, Any]) -> bytes:
    return _sha256(["access", "user", user_id, payload])


def _former_hash(user_id: str, payload: dict[str, Any]) -> bytes:
    return _sha256([user_id, payload])


def _without_user(payload: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != "user_id"}


def _sha256(value: object) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).digest()
