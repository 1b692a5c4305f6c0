"""each deposit has a record that names its outside reference

An entry alone proves nothing: whoever can call ledger_post can make one. Deposits from before get the reason that they
were posted with. Old code posts deposits without a record; it makes them when an installation is seeded alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_FROM_BEFORE = """
INSERT INTO deposit (id, account_id, currency, mode, amount_minor, reference, actor_kind, actor_id, created_at)
SELECT e.subject_id, p.account_id, p.currency, p.mode, p.amount, coalesce(nullif(e.reason, ''), 'before records were kept'),
       e.actor_kind, e.actor_id, e.created_at
  FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id AND p.amount > 0 WHERE e.kind = 'deposit'
"""
_STAYS = """
CREATE TRIGGER deposit_stays BEFORE UPDATE OR DELETE ON deposit FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER deposit_stays_whole BEFORE TRUNCATE ON deposit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.create_table(
        "deposit",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.UUID(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_deposit_mode")),
        sa.CheckConstraint(
            "actor_kind IN ('customer', 'merchant', 'trader', 'lead', 'support', 'admin', 'system', 'ops')",
            name=op.f("ck_deposit_actor_kind"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_deposit_amount")),
        sa.CheckConstraint("reference <> ''", name=op.f("ck_deposit_reference")),
        sa.ForeignKeyConstraint(["account_id"], ["ledger_account.id"], name=op.f("fk_deposit_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deposit")),
    )
    op.execute(_FROM_BEFORE)
    op.execute(_STAYS)


def downgrade() -> None:
    op.drop_table("deposit")
