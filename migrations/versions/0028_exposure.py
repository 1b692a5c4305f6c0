"""what a store's payins hold and disclose is counted, and refused beyond limits

A trigger counts, so that orders of old code are counted too; old code refuses nothing. Its orders wait for the lock of
the table while the figures are summed up once.
"""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

_SQL = Path(__file__).resolve().parent.parent / "sql"
_TOLD = ("mail", "notification", "notification_choice")


def upgrade() -> None:
    op.create_table(
        "exposure",
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("open_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("claimed_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), server_default=sa.text("date_trunc('hour', now())"), nullable=False),
        sa.Column("shown", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paid", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paid_before", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_exposure_mode")),
        sa.PrimaryKeyConstraint("store_id", "mode", "currency", "slot", name=op.f("pk_exposure")),
        postgresql_with={"fillfactor": "40", "autovacuum_vacuum_scale_factor": "0.02"},
    )
    op.execute((_SQL / "0028_exposure.sql").read_text())
    op.create_index(
        "ix_orders_customer_network",
        "orders",
        [sa.text("customer_network(customer_ip)"), "id"],
        postgresql_where=sa.text("customer_ip IS NOT NULL"),
    )
    for table in _TOLD:
        _allow(table, {*_kinds(table), "exposure_high"})


def downgrade() -> None:
    for table in _TOLD:
        op.execute(f"DELETE FROM {table} WHERE kind = 'exposure_high'")
        _allow(table, _kinds(table) - {"exposure_high"})
    op.drop_index("ix_orders_customer_network", "orders")
    op.execute("DROP TRIGGER count_new_exposure ON orders; DROP TRIGGER count_moved_exposure ON orders")
    op.execute(
        "DROP FUNCTION exposure_refusal, exposure_of_payer, count_exposure; DROP TABLE exposure; DROP FUNCTION exposure_slot, customer_network"
    )


def _kinds(table: str) -> set[str]:
    """What the table takes at present."""
    sql = sa.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name")
    return set(re.findall(r"'(\w+)'", op.get_bind().execute(sql, {"name": f"ck_{table}_kind"}).scalar_one()))


def _allow(table: str, kinds: set[str]) -> None:
    name = op.f(f"ck_{table}_kind")
    listed = ", ".join(f"'{kind}'" for kind in sorted(kinds))
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, f"kind IN ({listed})")
