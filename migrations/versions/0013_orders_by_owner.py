"""one owner's orders are few among all, whatever a sample of the table shows; what ended is found by when it ended

Where one store or trader has most of the orders, statistics say that anybody has, and PostgreSQL walks everybody's
newest orders in search of those of somebody who has none. Old code is not concerned.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0009"


def upgrade() -> None:
    op.execute("alter table orders alter store_id set (n_distinct = 10000), alter trader_id set (n_distinct = 10000)")
    op.create_index(
        "ix_orders_trader_ended_at",
        "orders",
        ["trader_id", "ended_at", "id"],
        postgresql_where=sa.text("trader_id IS NOT NULL AND ended_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_orders_trader_ended_at", "orders")
    op.execute("alter table orders alter store_id reset (n_distinct), alter trader_id reset (n_distinct)")
