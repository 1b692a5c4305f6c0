"""permissions and audit"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

SQL = Path(__file__).resolve().parent.parent / "sql"


def run_sql(name: str) -> None:
    """Run a file of several statements: without parameters the driver takes them as one script."""
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute((SQL / name).read_text(encoding="utf-8"))


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=True),
        sa.Column("subject_id", sa.Text(), nullable=True),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("ip", postgresql.INET(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "actor_kind IN ('customer', 'merchant', 'trader', 'lead', 'support', 'admin', 'system', 'ops')",
            name=op.f("ck_audit_entry_actor_kind"),
        ),
        sa.CheckConstraint(
            "action ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)+$'", name=op.f("ck_audit_entry_action")
        ),
        sa.CheckConstraint(
            "(subject_kind IS NULL) = (subject_id IS NULL)", name=op.f("ck_audit_entry_whole_subject")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_entry_action", "audit_entry", ["action", "id"], unique=False)
    op.create_index("ix_audit_entry_actor_id", "audit_entry", ["actor_id", "id"], unique=False)
    op.create_index(
        "ix_audit_entry_subject", "audit_entry", ["subject_kind", "subject_id", "id"], unique=False
    )
    op.create_table(
        "audit_seal",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "sealed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "octet_length(hash) = 32 AND octet_length(previous_hash) = 32", name=op.f("ck_audit_seal_hashes")
        ),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_audit_seal_sequence")),
        sa.ForeignKeyConstraint(["entry_id"], ["audit_entry.id"], name=op.f("fk_audit_seal_entry_id")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_seal")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_audit_seal_entry_id")),
    )
    op.create_table(
        "audit_unsealed",
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["audit_entry.id"], name=op.f("fk_audit_unsealed_entry_id")),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_unsealed")),
    )
    op.create_table(
        "permission_grant",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("permission", sa.Text(), nullable=False),
        sa.Column("reach", sa.Text(), nullable=True),
        sa.Column("is_denied", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "reach IS NULL OR reach IN ('own', 'team', 'all')", name=op.f("ck_permission_grant_reach")
        ),
        sa.CheckConstraint("is_denied = (reach IS NULL)", name=op.f("ck_permission_grant_reach_of_a_grant")),
        sa.CheckConstraint(
            "granted_by <> user_id OR is_denied", name=op.f("ck_permission_grant_not_to_oneself")
        ),
        sa.CheckConstraint(
            "approved_by NOT IN (granted_by, user_id)", name=op.f("ck_permission_grant_two_people")
        ),
        sa.ForeignKeyConstraint(["approved_by"], ["users.id"], name=op.f("fk_permission_grant_approved_by")),
        sa.ForeignKeyConstraint(["granted_by"], ["users.id"], name=op.f("fk_permission_grant_granted_by")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_permission_grant_user_id")),
        sa.PrimaryKeyConstraint("user_id", "permission", name=op.f("pk_permission_grant")),
    )
    op.create_table(
        "permission_request",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'approved', 'refused', 'withdrawn')",
            name=op.f("ck_permission_request_state"),
        ),
        sa.CheckConstraint("requested_by <> user_id", name=op.f("ck_permission_request_not_for_oneself")),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'refused') OR decided_by NOT IN (requested_by, user_id)",
            name=op.f("ck_permission_request_another_decides"),
        ),
        sa.CheckConstraint(
            "(state = 'waiting') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)",
            name=op.f("ck_permission_request_decision"),
        ),
        sa.CheckConstraint(
            "octet_length(payload_hash) = 32", name=op.f("ck_permission_request_payload_hash")
        ),
        sa.ForeignKeyConstraint(["decided_by"], ["users.id"], name=op.f("fk_permission_request_decided_by")),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["users.id"], name=op.f("fk_permission_request_requested_by")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_permission_request_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permission_request")),
    )
    op.create_index("ix_permission_request_state", "permission_request", ["state", "id"], unique=False)
    op.create_index(
        "uq_permission_request_waiting",
        "permission_request",
        ["user_id"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.add_column('refresh_token', sa.Column('audience', sa.Text(), server_default='merchant', nullable=False))
    op.create_check_constraint(op.f('ck_refresh_token_audience'), 'refresh_token', "audience IN ('merchant', 'trader', 'support', 'lead', 'admin')")
    op.create_check_constraint(op.f('ck_refresh_token_store_of_a_merchant'), 'refresh_token', "audience = 'merchant' OR (store_id IS NULL AND api_key_id IS NULL)")
    op.create_index('ix_refresh_token_user_id', 'refresh_token', ['user_id'], unique=False, postgresql_where=sa.text('user_id IS NOT NULL'))
    run_sql("0003_audit_rules.sql")
    run_sql("0003_permission_rules.sql")


def downgrade() -> None:
    op.execute("DELETE FROM refresh_token WHERE audience <> 'merchant'")
    op.drop_index('ix_refresh_token_user_id', table_name='refresh_token')
    op.drop_column('refresh_token', 'audience')
    op.drop_table("permission_request")
    op.drop_table("permission_grant")
    op.drop_table("audit_unsealed")
    op.drop_table("audit_seal")
    op.drop_table("audit_entry")
    op.execute("DROP FUNCTION audit_entry_waits()")
