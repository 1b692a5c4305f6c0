"""an endpoint shows that it wants what is sent to it; calls that somebody asks for are counted

Endpoints that exist count as verified. Old code makes unverified ones and sends to them at once.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.add_column("webhook_endpoint", sa.Column("verified_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE webhook_endpoint SET verified_at = clock_timestamp()")
    op.create_table(
        "webhook_probe",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_probe")),
    )
    op.create_index("ix_webhook_probe_host", "webhook_probe", ["host", "at"])
    op.create_index("ix_webhook_probe_store", "webhook_probe", ["store_id", "at"])


def downgrade() -> None:
    op.drop_table("webhook_probe")
    op.drop_column("webhook_endpoint", "verified_at")
