"""stop a queue, see who works, mark an error as handled, tell of a broken ledger

Old code knows nothing of the tables and columns, and writes none of the new kinds.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_NOW = sa.text("clock_timestamp()")
_NOTIFICATIONS = ["new_order", "dispute_opened", "approval_wanted", "endpoint_disabled", "new_device"]
_MAILS = [
    "invitation", "password_reset", "new_device", "dispute_opened", "approval_wanted", "endpoint_disabled",
    "new_order", "security_changed",
]  # fmt: skip
_KINDS = {"mail": _MAILS, "notification": _NOTIFICATIONS, "notification_choice": _NOTIFICATIONS}


def upgrade() -> None:
    op.create_table(
        "queue_stop",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.CheckConstraint(
            "queue IN ('matching', 'events', 'webhooks', 'mail', 'maintenance')",
            name=op.f("ck_queue_stop_queue"),
        ),
        sa.CheckConstraint("state IN ('paused', 'draining')", name=op.f("ck_queue_stop_state")),
        sa.PrimaryKeyConstraint("queue", name=op.f("pk_queue_stop")),
    )
    op.create_table(
        "worker_presence",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("release", sa.Text(), server_default="", nullable=False),
        sa.Column("doing", sa.Text(), server_default="", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker_presence")),
    )
    op.add_column("error_report", sa.Column("handled_at", sa.DateTime(timezone=True)))
    op.add_column("error_report", sa.Column("handled_by", sa.Uuid()))
    for table in ("event", "webhook_delivery"):
        op.create_index(f"ix_{table}_dead", table, ["done_at"], postgresql_where=sa.text("state = 'dead'"))
    for table, kinds in _KINDS.items():
        _allow(table, [*kinds, "ledger_broken"])


def downgrade() -> None:
    for table, kinds in _KINDS.items():
        op.execute(f"DELETE FROM {table} WHERE kind = 'ledger_broken'")
        _allow(table, kinds)
    for table in ("webhook_delivery", "event"):
        op.drop_index(f"ix_{table}_dead", table)
    op.drop_column("error_report", "handled_by")
    op.drop_column("error_report", "handled_at")
    op.drop_table("worker_presence")
    op.drop_table("queue_stop")


def _allow(table: str, kinds: list[str]) -> None:
    name = op.f(f"ck_{table}_kind")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, f"kind IN ({listed})")
