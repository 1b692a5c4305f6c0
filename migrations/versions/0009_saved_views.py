"""keep how people like to look at a list: filters, sort and columns under a name

Old code knows nothing of the table.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "saved_view",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 40", name=op.f("ck_saved_view_name")),
        sa.CheckConstraint("length(query) <= 2000", name=op.f("ck_saved_view_query")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_saved_view_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_view")),
        sa.UniqueConstraint("user_id", "list", "name", name=op.f("uq_saved_view_user_list_name")),
    )


def downgrade() -> None:
    op.drop_table("saved_view")
