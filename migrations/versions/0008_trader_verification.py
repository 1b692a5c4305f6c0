"""keep what traders have shown of themselves, what was decided about it, and until when it is good

Old code writes neither table and leaves the new column empty: a verification without an end.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("trader", sa.Column("verified_until", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_trader_verified_until",
        "trader",
        ["verified_until"],
        postgresql_where=sa.text("verified_until IS NOT NULL"),
    )
    op.create_table(
        "trader_document",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("trader_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("file_key", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('identity', 'address', 'bank', 'contract', 'other')",
            name=op.f("ck_trader_document_kind"),
        ),
        sa.CheckConstraint("size_bytes > 0", name=op.f("ck_trader_document_size_bytes")),
        sa.ForeignKeyConstraint(["trader_id"], ["trader.id"], name=op.f("fk_trader_document_trader_id")),
        sa.ForeignKeyConstraint(["uploaded_by"], ["users.id"], name=op.f("fk_trader_document_uploaded_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trader_document")),
        sa.UniqueConstraint("trader_id", "sha256", name=op.f("uq_trader_document_trader_id_sha256")),
    )
    op.create_table(
        "trader_decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("trader_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True)),
        sa.Column("decided_by", sa.Uuid()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "outcome IN ('verified', 'refused', 'withdrawn', 'expired')",
            name=op.f("ck_trader_decision_outcome"),
        ),
        sa.CheckConstraint(
            "(outcome = 'expired') = (decided_by IS NULL)", name=op.f("ck_trader_decision_by_a_person")
        ),
        sa.CheckConstraint(
            "valid_until IS NULL OR outcome = 'verified'", name=op.f("ck_trader_decision_valid_until")
        ),
        sa.ForeignKeyConstraint(["trader_id"], ["trader.id"], name=op.f("fk_trader_decision_trader_id")),
        sa.ForeignKeyConstraint(["decided_by"], ["users.id"], name=op.f("fk_trader_decision_decided_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trader_decision")),
    )
    op.create_index("ix_trader_decision_trader_id", "trader_decision", ["trader_id", "id"])


def downgrade() -> None:
    op.drop_table("trader_decision")
    op.drop_table("trader_document")
    op.drop_index("ix_trader_verified_until", "trader")
    op.drop_column("trader", "verified_until")
