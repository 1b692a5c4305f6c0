"""links of the keyed chains hold when they were sealed, and what an operator said

Old code goes on writing links of the first form; from `flask chains begin` on the new one goes on with its own.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0036"


def upgrade() -> None:
    op.add_column(
        "chain_link", sa.Column("mac_version", sa.SmallInteger(), server_default="1", nullable=False)
    )
    op.add_column(
        "chain_link", sa.Column("reached_end", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("chain_link", sa.Column("statement", sa.Text(), nullable=True))
    op.execute(
        "ALTER TABLE chain_link ADD CONSTRAINT ck_chain_link_mac_version CHECK (mac_version IN (1, 2)) NOT VALID;"
        " ALTER TABLE chain_link VALIDATE CONSTRAINT ck_chain_link_mac_version"
    )


def downgrade() -> None:
    """Older code can't prove the links of the second form: it seals their rows anew, behind the last of the first."""
    op.execute(
        "ALTER TABLE chain_link DISABLE TRIGGER USER; DELETE FROM chain_link WHERE mac_version = 2;"
        " ALTER TABLE chain_link ENABLE TRIGGER USER; DELETE FROM chain_mark"
    )
    op.drop_constraint(op.f("ck_chain_link_mac_version"), "chain_link", type_="check")
    op.drop_column("chain_link", "statement")
    op.drop_column("chain_link", "reached_end")
    op.drop_column("chain_link", "mac_version")
