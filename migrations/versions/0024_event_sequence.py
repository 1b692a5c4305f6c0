"""events of one change of an order are told apart: `sequence` counts them within its version

Old code goes on writing events of a change without it: they stay 0, as the one event of a change is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("event", sa.Column("sequence", sa.SmallInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("event", "sequence")
