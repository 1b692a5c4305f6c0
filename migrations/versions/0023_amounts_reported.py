"""how far what came may be from an order's amount, by store; and what a receiver reports beyond that

Old code leaves the columns alone and completes orders as it did.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("store", sa.Column("tolerance_bps", sa.SmallInteger, server_default="100", nullable=False))
    op.add_column(
        "store", sa.Column("tolerance_minor", sa.BigInteger, server_default="5000000", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_store_tolerance"), "store", "tolerance_bps BETWEEN 0 AND 10000 AND tolerance_minor >= 0"
    )
    op.add_column("orders", sa.Column("amount_reported_minor", sa.BigInteger))
    # Not looked at for the rows that are there: all of them have none.
    op.execute(
        "ALTER TABLE orders ADD CONSTRAINT ck_orders_amount_reported CHECK (amount_reported_minor > 0) NOT VALID"
    )
    op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_amount_reported")


def downgrade() -> None:
    op.drop_column("orders", "amount_reported_minor")
    op.drop_column("store", "tolerance_minor")
    op.drop_column("store", "tolerance_bps")
