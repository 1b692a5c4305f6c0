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
    op.create_table('audit_entry',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('actor_kind', sa.Text(), nullable=False),
    sa.Column('actor_id', sa.Uuid(), nullable=True),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('subject_kind', sa.Text(), nullable=True),
    sa.Column('subject_id', sa.Text(), nullable=True),
    sa.Column('before', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('after', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('ip', postgresql.INET(), nullable=True),
    sa.Column('user_agent', sa.Text(), nullable=True),
    sa.Column('request_id', sa.Text(), nullable=True),
    sa.Column('session_id', sa.Uuid(), nullable=True),
    sa.CheckConstraint("actor_kind IN ('customer', 'merchant', 'trader', 'lead', 'support', 'admin', 'system', 'ops')", name=op.f('ck_audit_entry_actor_kind')),
    sa.CheckConstraint("action ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)+$'", name=op.f('ck_audit_entry_action')),
    sa.CheckConstraint('(subject_kind IS NULL) = (subject_id IS NULL)', name=op.f('ck_audit_entry_whole_subject')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_entry'))
    )
    op.create_index('ix_audit_entry_action', 'audit_entry', ['action', 'id'], unique=False)
    op.create_index('ix_audit_entry_actor_id', 'audit_entry', ['actor_id', 'id'], unique=False)
    op.create_index('ix_audit_entry_subject', 'audit_entry', ['subject_kind', 'subject_id', 'id'], unique=False)
    op.create_table('audit_seal',
    sa.Column('sequence', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('entry_id', sa.BigInteger(), nullable=False),
    sa.Column('previous_hash', sa.LargeBinary(), nullable=False),
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.Column('sealed_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint('octet_length(hash) = 32 AND octet_length(previous_hash) = 32', name=op.f('ck_audit_seal_hashes')),
    sa.CheckConstraint('sequence > 0', name=op.f('ck_audit_seal_sequence')),
    sa.ForeignKeyConstraint(['entry_id'], ['audit_entry.id'], name=op.f('fk_audit_seal_entry_id')),
    sa.PrimaryKeyConstraint('sequence', name=op.f('pk_audit_seal')),
    sa.UniqueConstraint('entry_id', name=op.f('uq_audit_seal_entry_id'))
    )
    op.create_table('audit_unsealed',
    sa.Column('entry_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['audit_entry.id'], name=op.f('fk_audit_unsealed_entry_id')),
    sa.PrimaryKeyConstraint('entry_id', name=op.f('pk_audit_unsealed'))
    )
    run_sql("0003_audit_rules.sql")


def downgrade() -> None:
    op.drop_table('audit_unsealed')
    op.drop_table('audit_seal')
    op.drop_table('audit_entry')
    op.execute("DROP FUNCTION audit_entry_waits()")
